// Ends connections that can be told at any time (WebSocket, HTTP/2, TCP) when they reach their age: a wheel with one
// bucket per second, so that a connection costs constant work and no timer of its own.
import type { Clock, Timer } from '../core/clock.ts';
import type { Goodbye } from '../core/goodbye.ts';
import type { Connection } from './connection.ts';

export interface AgesPorts {
  readonly clock: Clock;
  /** Takes a turn for one goodbye; false when there is none now. */
  readonly retirement: { mayAge(): boolean };
}

const SECOND_MS = 1_000;

const goodbye: Goodbye = { reason: 'max-age', plan: null, target: null };

export class Ages {
  readonly #ports: AgesPorts;
  readonly #timer: Timer;
  readonly #buckets = new Map<number, Set<Connection>>();
  /** Due, but without a turn until now. First come, first served. */
  readonly #waiting = new Set<Connection>();
  /** Buckets up to this second have been emptied. */
  #emptied: number;

  constructor(ports: AgesPorts) {
    this.#ports = ports;
    this.#emptied = Math.floor(ports.clock.now() / SECOND_MS);
    this.#timer = ports.clock.every(SECOND_MS, () => this.#tick());
  }

  /** Connections that wait for their age or for their turn. */
  get size(): number {
    let size = this.#waiting.size;
    for (const bucket of this.#buckets.values()) size += bucket.size;
    return size;
  }

  /** Not before `dueAtMs`, on the clock. One that is to live for ever (Infinity) is not taken in. */
  add(connection: Connection, dueAtMs: number): void {
    if (dueAtMs === Infinity) return;
    this.remove(connection);
    const second = Math.max(this.#emptied + 1, Math.ceil(dueAtMs / SECOND_MS));
    const bucket = this.#buckets.get(second);
    if (bucket === undefined) this.#buckets.set(second, new Set([connection]));
    else bucket.add(connection);
    connection.ageSecond = second;
  }

  /** The connection closed, or was told for another reason. Does nothing when it is not here. */
  remove(connection: Connection): void {
    this.#waiting.delete(connection);
    const second = connection.ageSecond;
    if (second === 0) return;
    connection.ageSecond = 0;
    const bucket = this.#buckets.get(second);
    bucket?.delete(connection);
    if (bucket?.size === 0) this.#buckets.delete(second);
  }

  /** Takes out those whose time has come; those that are not open any more are left out. */
  due(now: number): Connection[] {
    const due: Connection[] = [];
    const second = Math.floor(now / SECOND_MS);
    while (this.#emptied < second) {
      const bucket = this.#buckets.get(++this.#emptied);
      if (bucket === undefined) continue;
      this.#buckets.delete(this.#emptied);
      for (const connection of bucket) {
        connection.ageSecond = 0;
        if (connection.stage === 'open') due.push(connection);
      }
    }
    return due;
  }

  stop(): void {
    this.#timer.cancel();
  }

  #tick(): void {
    for (const connection of this.due(this.#ports.clock.now())) this.#waiting.add(connection);
    for (const connection of this.#waiting) {
      if (connection.stage !== 'open') {
        this.#waiting.delete(connection);
        continue;
      }
      // In mid-message: its turn is kept for somebody else.
      if (!connection.transport.quiet(connection)) continue;
      if (!this.#ports.retirement.mayAge()) return;
      this.#waiting.delete(connection);
      connection.transport.retire(connection, goodbye);
    }
  }
}
