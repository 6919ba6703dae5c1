// Every option of `node.sessions(...)`: what it is called, its default and the reason for it. Read once.
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { readOptions } from '../../core/options.ts';

/** Who knocks, as `authenticate` is told. */
export interface Knock {
  /** What the client gave as its token, or null. */
  readonly token: string | null;
  readonly headers: IncomingHttpHeaders;
  /** Path and query of the handshake. */
  readonly url: string;
  readonly remoteAddress: string;
}

export type Accepted = Omit<Knock, 'token'>;

/** Asks `from` for the address only where the application does. */
export const knockOf = (from: Accepted, token: string | null): Knock => ({
  token,
  headers: from.headers,
  url: from.url,
  get remoteAddress() {
    return from.remoteAddress;
  },
});

/** What the application knows of a client. `user` names the inbox and goes into presence; null: nobody in particular. */
export interface Identity {
  readonly user: string | null;
}

/** A client that wants something of a topic. */
export interface Wish {
  readonly user: string | null;
  readonly client: string;
  readonly action: 'subscribe' | 'publish' | 'presence';
  readonly topic: string;
}

export interface SessionsOptions {
  /** Path of the handshake. Default `/evenkeel`. */
  readonly path?: string | undefined;
  /** Says who a client is, or null to turn it away (4401). Default: everybody may come, as nobody in particular. */
  readonly authenticate?: ((knock: Knock) => Identity | null | Promise<Identity | null>) | undefined;
  /** Whether a client may. Default: yes. Topics that begin with `@` are never the clients' to publish on. */
  readonly authorize?: ((wish: Wish) => boolean | Promise<boolean>) | undefined;
  /** Origins of pages that may connect, or `any`. Default `same`: pages of this host. Clients that are no browsers send none. */
  readonly origins?: 'same' | 'any' | readonly string[] | undefined;
  /** How long a session outlives its last link, ms. Default 120,000. */
  readonly resumeMs?: number | undefined;
  /** What a stream keeps: entries, at most. Default 1,000. */
  readonly historyCount?: number | undefined;
  /** Entries older than this may go, ms. Default 300,000. */
  readonly historyMs?: number | undefined;
  /** Largest message, bytes. Default 65,536. */
  readonly messageBytes?: number | undefined;
  /** Topics that one session may follow. Default 100. */
  readonly topics?: number | undefined;
  /** What may wait for a client that reads slowly, bytes. Default 1,048,576. */
  readonly unsentBytes?: number | undefined;
  /** Beyond that: `history` (default) goes on from the history when the client reads again, `close` ends the link with 4000. */
  readonly slow?: 'history' | 'close' | undefined;
  /** A client whose backlog is not read within this time is closed with 4000 in any case, ms. Default 30,000. */
  readonly slowMs?: number | undefined;
  /** Frames per second that a client may send on average; beyond it is read more slowly. Default 1,000. */
  readonly framesPerS?: number | undefined;
  /** Whether every session follows what is said to everybody. Default true. */
  readonly everybody?: boolean | undefined;
  /** Who left without saying so stays present for this long, ms. Default 30,000. */
  readonly presenceMs?: number | undefined;
  /** Signs what clients carry from node to node; the same on all nodes, at least 16 characters. Default: made once, kept in the engine. */
  readonly secret?: string | undefined;
}

const positive = z.number().positive().max(1e9);
const whole = z.number().int().min(1).max(1_000_000);
const hook = z.custom<never>((value) => typeof value === 'function', 'it must be a function');

const schema = z.strictObject({
  path: z
    .string()
    .regex(/^\/[^?#]*$/, 'it must begin with / and have no query')
    .max(1024)
    .optional(),
  authenticate: hook.optional(),
  authorize: hook.optional(),
  origins: z.union([z.enum(['same', 'any']), z.array(z.string().max(256)).max(1_000)]).optional(),
  resumeMs: positive.min(1_000).max(86_400_000).optional(),
  historyCount: whole.max(100_000).optional(),
  historyMs: positive.min(1_000).optional(),
  messageBytes: whole.max(700_000).optional(),
  topics: whole.max(1_000).optional(),
  unsentBytes: z.number().int().min(1).max(1e9).optional(),
  slow: z.enum(['history', 'close']).optional(),
  slowMs: positive.min(100).optional(),
  framesPerS: positive.min(1).optional(),
  everybody: z.boolean().optional(),
  presenceMs: positive.min(1_000).optional(),
  secret: z.string().min(16).max(1_024).optional(),
});

/** The options with nothing left open. */
export type SessionsSettings = { readonly [K in keyof Omit<SessionsOptions, 'secret'>]-?: NonNullable<SessionsOptions[K]> } & {
  readonly secret: string | null;
};

export function readSessionsOptions(input: SessionsOptions): SessionsSettings {
  const options = readOptions(schema as unknown as z.ZodType<SessionsOptions>, input, 'sessions');
  return Object.freeze({
    path: options.path ?? '/evenkeel',
    authenticate: options.authenticate ?? (() => ({ user: null })),
    authorize: options.authorize ?? (() => true),
    origins: options.origins ?? 'same',
    resumeMs: options.resumeMs ?? 120_000,
    historyCount: options.historyCount ?? 1_000,
    historyMs: options.historyMs ?? 300_000,
    messageBytes: options.messageBytes ?? 65_536,
    topics: options.topics ?? 100,
    unsentBytes: options.unsentBytes ?? 1_048_576,
    slow: options.slow ?? 'history',
    slowMs: options.slowMs ?? 30_000,
    framesPerS: options.framesPerS ?? 1_000,
    everybody: options.everybody ?? true,
    presenceMs: options.presenceMs ?? 30_000,
    secret: options.secret ?? null,
  });
}
