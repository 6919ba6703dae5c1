// The same client in a Node process: what `evenkeel/client` is there.
import { compactJsonCodec } from '../json.ts';
import { Client } from '../client.ts';
import { ClientError } from '../errors.ts';
import { settle, type ClientOptions } from '../options.ts';
import { nodeLinks } from './links.ts';

export * from '../index.ts';

/** Makes a client and lets it connect. Throws `badValue` where there is no address, or one that no link can ever be opened at. */
export function connect(options: ClientOptions): Client {
  // Links of the application's own have addresses of their own. From JavaScript anything may come.
  const { url, links } = (options as ClientOptions | undefined) ?? { url: '' };
  if (links === undefined && typeof url !== 'function') for (const one of [url].flat()) checkAddress(one);
  return new Client(settle(options, compactJsonCodec, nodeLinks));
}

const SCHEMES = new Set(['ws:', 'wss:', 'http:', 'https:']);

/** Told at once: an attempt that fails is told to listeners only, and made again and again. */
function checkAddress(url: unknown): void {
  // Where there is a page all the same, as in tests of pages, addresses may be relative to it.
  const page = (globalThis as { location?: { href: string } }).location?.href;
  if (typeof url === 'string' && URL.canParse(url, page) && SCHEMES.has(new URL(url, page).protocol)) return;
  throw new ClientError('badValue', `\`url\` must be ws://, wss://, http:// or https://HOST, got ${JSON.stringify(url) ?? typeof url}`);
}
