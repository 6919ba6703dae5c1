// The part of node-redis that the engine uses: how a client is set up, and what its errors say. Time limits are ours, by the
// injected clock, and so is every second attempt.
import { isIP } from 'node:net';
import type { Place, RedisAccess } from './redis-address.ts';

/** What we use of a node-redis client. */
export interface Client {
  connect(): Promise<unknown>;
  destroy(): void;
  unref(): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  ping(): Promise<unknown>;
  sendCommand(args: readonly string[]): Promise<unknown>;
  subscribe(channels: string | string[], listener: Listener): Promise<void>;
  /** Without the listener, a subscription that follows at once would be forgotten. */
  unsubscribe(channels: string | string[], listener: Listener): Promise<void>;
}

export type Listener = (message: string, channel: string) => void;

/** Commands that may wait for answers: what a busy node asks in the time that the server may be silent. */
const QUEUE_LENGTH = 100_000;

/** `connectMs` bounds the connection itself; what is asked over it is bounded by whoever asks. */
export async function createClient(access: RedisAccess, place: Place, connectMs: number): Promise<Client> {
  const node = await import('@redis/client');
  const { tls, username, password, database } = access;
  const { host, port } = place;
  // `ping` and the time limits are ours, by the injected clock: node-redis's own ping timer keeps the process alive.
  const socket = {
    host,
    port,
    connectTimeout: connectMs,
    reconnectStrategy: false,
    ...(tls ? { tls, ...(isIP(host) === 0 ? { servername: host } : {}) } : {}),
  };
  const options: object = {
    socket,
    username,
    password,
    database,
    disableOfflineQueue: true,
    commandsQueueMaxLength: QUEUE_LENGTH,
    commandOptions: { timeout: 0 },
    maintNotifications: 'disabled',
  };
  return node.createClient(options);
}

/** Node reports a host that refused on each of its addresses as one error without words. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message === '' ? error.name : error.message;
}
