// What the application may set, with the defaults and their reasons.
import { backoffDefaults, type BackoffPolicy } from '../core/backoff.ts';
import type { Listening } from '../core/event.ts';
import type { Random } from '../core/random.ts';
import { clientClock, clientRandom, freshNonce, watchPage, type ClientClock, type PageEvent } from '../host/browser.ts';
import type { ClientCodec } from './json.ts';
import { ClientError } from './errors.ts';
import type { LinkFactory } from './link.ts';

type MaybePromise<T> = T | Promise<T>;

/** An address (`ws:`, `wss:`, `http:`, `https:`, or relative to the page), and a token that goes with it. */
export type Endpoint = string | { readonly url: string; readonly token?: string | undefined };

/** One of them, by lot or as `random` says, but none that failed or sends its clients away while there are others. */
export type PickUrl = (urls: readonly string[], random?: Random) => string;

export interface ClientOptions {
  /** One address, several (one is picked by lot, those that failed or drain are avoided), or a function that is asked before each attempt. */
  readonly url: string | readonly string[] | ((pick: PickUrl) => MaybePromise<Endpoint>);
  /** What the application's `authenticate` gets. A function is asked before each link. */
  readonly token?: string | (() => MaybePromise<string>) | undefined;
  readonly codec?: ClientCodec | undefined;
  /** Messages and requests that may wait for the fleet; beyond it they are rejected. Default 1,000. */
  readonly outboxMessages?: number | undefined;
  /** Bytes of them. Default 1 MiB. */
  readonly outboxBytes?: number | undefined;
  /** The client closes after so long without a link, ms. Default: never. */
  readonly giveUpAfterMs?: number | undefined;
  /** Bounds of the random waits between attempts, ms. Default 500 and 30,000. */
  readonly backoff?: { readonly baseMs?: number | undefined; readonly capMs?: number | undefined } | undefined;
  /** From the start of an attempt to the welcome, ms. Default 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** Of requests that set none, ms. Default 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How links are opened, time passes and dice fall. Default: the real ones. */
  readonly links?: LinkFactory | undefined;
  readonly clock?: ClientClock | undefined;
  readonly random?: Random | undefined;
  /** A name that no other client object has. Default: 128 random bits. */
  readonly instance?: string | undefined;
  /** What tells of the network and the life of the page. Default: its events, where there is a page. */
  readonly page?: ((tell: (event: PageEvent) => void) => Listening) | undefined;
}

export interface ClientSettings {
  readonly url: ClientOptions['url'];
  readonly token?: ClientOptions['token'];
  readonly codec: ClientCodec;
  readonly outboxMessages: number;
  readonly outboxBytes: number;
  readonly giveUpAfterMs: number;
  readonly backoff: BackoffPolicy;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly links: LinkFactory;
  readonly clock: ClientClock;
  readonly random: Random;
  readonly instance: string;
  readonly page: (tell: (event: PageEvent) => void) => Listening;
}

/** Throws `badValue` where there is no address. */
export function settle(options: ClientOptions, codec: ClientCodec, links: LinkFactory): ClientSettings {
  // Also of an empty list.
  if (String(options.url) === '') throw new ClientError('badValue', 'set `url`');
  const { backoff, ...given } = options;
  const defaults = {
    codec,
    outboxMessages: 1_000,
    outboxBytes: 1_048_576,
    giveUpAfterMs: Infinity,
    connectTimeoutMs: 10_000,
    requestTimeoutMs: 30_000,
    links,
    clock: clientClock,
    random: clientRandom,
    instance: freshNonce(),
    page: watchPage,
  };
  return { ...defaults, ...without(given), backoff: { ...backoffDefaults, ...without(backoff ?? {}) } };
}

/** What is set to undefined is not set. */
const without = <T extends object>(options: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
