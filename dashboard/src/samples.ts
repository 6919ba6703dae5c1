// The last minutes of figures, kept in columns as the charts want them. Bounded by age and by count, whatever the demo sends.
import type { ServerState, Snapshot } from './contract.ts';

export type Column = (number | null)[];

/** Ten minutes. */
const KEPT_SECONDS = 600;

/** Requests that fail so soon after a server died were cut by its death: clients notice at their next heartbeat. */
const AFTERMATH_SECONDS = 5;

/** Two a second for ten minutes, and room for clocks that run a little fast. */
const MOST_POINTS = 1_500;

export class Samples {
  readonly times: number[] = [];
  readonly imbalance: Column = [];
  readonly movesPerS: Column = [];
  /** New failures per second, from the differences of the running total. */
  readonly failuresPerS: Column = [];
  /** The largest target of any server: the one they all share unless weights differ. */
  readonly target: Column = [];
  readonly #connections = new Map<string, Column>();
  /** Failures seen in the aftermath of a server's death, and all others, since the page knows the demo. */
  failedByDeath = 0;
  failedOtherwise = 0;
  #failed = 0;
  #states = new Map<string, ServerState>();
  #deathAt = -Infinity;
  readonly #seconds: number;

  constructor(seconds: number = KEPT_SECONDS) {
    this.#seconds = seconds;
  }

  /** Servers in the order in which they were first seen: the order of their colours. */
  get ids(): readonly string[] {
    return [...this.#connections.keys()];
  }

  get last(): number {
    return this.times.at(-1) ?? 0;
  }

  connectionsOf(id: string): Column {
    return this.#connections.get(id) ?? [];
  }

  /** Takes a snapshot in. One that is not newer than the last is a repeat, and left out. */
  add(snapshot: Snapshot): boolean {
    const before = this.times.at(-1);
    if (before !== undefined && snapshot.t <= before) return false;
    const failures = before === undefined ? 0 : this.#account(snapshot) / (snapshot.t - before);
    this.#failed = snapshot.failedRequests;
    this.#states = new Map(snapshot.servers.map(({ id, state }) => [id, state]));
    this.times.push(snapshot.t);
    this.imbalance.push(snapshot.imbalance);
    this.movesPerS.push(snapshot.movesPerS);
    this.failuresPerS.push(failures);
    const targets = snapshot.servers.flatMap((server) => (server.target === null || server.target <= 0 ? [] : [server.target]));
    this.target.push(targets.length === 0 ? null : Math.max(...targets));
    this.#addConnections(snapshot);
    this.#forget();
    return true;
  }

  clear(): void {
    for (const column of this.#columns()) column.length = 0;
    this.#connections.clear();
    this.failedByDeath = 0;
    this.failedOtherwise = 0;
    this.#deathAt = -Infinity;
  }

  /** New failures, put down to a death or not. A server that ends after a drain has not died: a drain fails nothing. */
  #account(snapshot: Snapshot): number {
    const died = snapshot.servers.some(({ id, state }) => state === 'down' && !['down', 'draining'].includes(this.#states.get(id) ?? 'down'));
    if (died) this.#deathAt = snapshot.t;
    const failed = Math.max(0, snapshot.failedRequests - this.#failed);
    if (snapshot.t - this.#deathAt <= AFTERMATH_SECONDS) this.failedByDeath += failed;
    else this.failedOtherwise += failed;
    return failed;
  }

  #addConnections(snapshot: Snapshot): void {
    const length = this.times.length;
    for (const server of snapshot.servers) {
      let column = this.#connections.get(server.id);
      if (column === undefined) {
        column = Array.from({ length: length - 1 }, () => null);
        this.#connections.set(server.id, column);
      }
      column.push(server.connections);
    }
    // A server that the demo no longer lists leaves a gap, not a line.
    for (const column of this.#connections.values()) if (column.length < length) column.push(null);
  }

  #forget(): void {
    const oldest = this.last - this.#seconds;
    let stale = Math.max(0, this.times.length - MOST_POINTS);
    while (this.times[stale] < oldest) stale++;
    if (stale > 0) for (const column of this.#columns()) column.splice(0, stale);
  }

  #columns(): Column[] {
    return [this.times, this.imbalance, this.movesPerS, this.failuresPerS, this.target, ...this.#connections.values()];
  }
}
