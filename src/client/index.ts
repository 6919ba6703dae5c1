/**
 * The client for browsers, workers and Node: topics, messages, requests, over links that break and move without losing anything.
 *
 * @module
 */
import { compactJsonCodec } from './json.ts';
import { Client } from './client.ts';
import { ClientError } from './errors.ts';
import { linksOver, type WebSocketClass } from './link.ts';
import { settle, type ClientOptions } from './options.ts';

export { ClientError, type ClientErrorCode } from './errors.ts';
export type { Client, SubscribeOptions } from './client.ts';
export type { ClientState } from './lifecycle.ts';
export type { Link, LinkEnd, LinkEvents, LinkFactory } from './link.ts';
export type { ClientOptions, Endpoint, PickUrl } from './options.ts';
export type { Reply } from './requests.ts';
export type { Gap, Message, Subscription, SubscriptionState } from './streams.ts';
export type { Identity, Lost, Undecided } from './told.ts';

/** Makes a client and lets it connect. Throws `noEndpoint` where there is no WebSocket, `badValue` where there is no address. */
export function connect(options: ClientOptions): Client {
  const { WebSocket } = globalThis as unknown as { WebSocket?: WebSocketClass };
  if (!WebSocket && !options.links) throw new ClientError('noEndpoint', 'no WebSocket: set `links`');
  return new Client(settle(options, compactJsonCodec, linksOver(WebSocket as WebSocketClass)));
}
