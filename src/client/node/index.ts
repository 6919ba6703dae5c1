// The same client in a Node process: what `evenkeel/client` is there.
import { compactJsonCodec } from '../json.ts';
import { Client } from '../client.ts';
import { settle, type ClientOptions } from '../options.ts';
import { nodeLinks } from './links.ts';

export * from '../index.ts';

/** Makes a client and lets it connect. Throws `badValue` where there is no address. */
export function connect(options: ClientOptions): Client {
  return new Client(settle(options, compactJsonCodec, nodeLinks));
}
