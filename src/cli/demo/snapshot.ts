// What the page is shown: the state of the demo at one moment. The page relies on these names exactly.

export interface ServerFacts {
  readonly id: string;
  readonly state: 'up' | 'starting' | 'draining' | 'down';
  readonly pid: number | null;
  /** As the balancer counts them. */
  readonly connections: number;
  /** The fair share, as the fleet's coordinator reckons it; null while nobody does, and for a server that is down. */
  readonly target: number | null;
  /** What the balancer makes of its health check. */
  readonly rotation: 'in' | 'out' | 'down';
}

/** Something that happened, for people. */
export interface Happening {
  /** Seconds since the demo started. */
  readonly t: number;
  readonly text: string;
}

export interface Snapshot {
  /** Seconds since the demo started. */
  readonly t: number;
  readonly protocol: string;
  readonly clients: number;
  readonly connected: number;
  readonly servers: readonly ServerFacts[];
  readonly imbalance: number | null;
  readonly movesPerS: number;
  readonly moves: number;
  readonly bounces: number;
  readonly requestsPerS: number;
  readonly requests: number;
  readonly failedRequests: number;
  readonly rebalancing: 'on' | 'off';
  readonly coordinator: string | null;
  readonly plan: { readonly state: 'idle' | 'moving' | 'waiting'; readonly reason: string | null; readonly inFlight: number; readonly pacePerS: number } | null;
  /** What happened since the snapshot before this one. */
  readonly events: readonly Happening[];
}

/** Ten minutes, a snapshot per second. */
const HISTORY_LENGTH = 600;
const HISTORY_S = 1;

/** The last ten minutes, thinned to one snapshot per second; what happened in the ones left out goes to the next one kept. */
export class History {
  readonly #kept: Snapshot[] = [];
  #events: Happening[] = [];

  add(snapshot: Snapshot): void {
    this.#events.push(...snapshot.events);
    const last = this.#kept.at(-1);
    // A timer that is a little early must not leave out a second.
    if (last !== undefined && snapshot.t - last.t < HISTORY_S - 0.1) return;
    this.#kept.push({ ...snapshot, events: this.#events });
    this.#events = [];
    if (this.#kept.length > HISTORY_LENGTH) this.#kept.shift();
  }

  /** With what happened since the last snapshot that was kept. */
  get snapshots(): readonly Snapshot[] {
    const last = this.#kept.at(-1);
    if (last === undefined || this.#events.length === 0) return this.#kept;
    return [...this.#kept.slice(0, -1), { ...last, events: [...last.events, ...this.#events] }];
  }
}

/** How fast a running total grows, over the last two seconds: totals come once a second. */
export class Rate {
  readonly #marks: { readonly t: number; readonly total: number }[] = [];

  perS(t: number, total: number): number {
    this.#marks.push({ t, total });
    while (this.#marks.length > 2 && t - this.#marks[1].t >= WINDOW_S) this.#marks.shift();
    const [first] = this.#marks;
    return t > first.t ? Math.max(0, (total - first.total) / (t - first.t)) : 0;
  }
}

const WINDOW_S = 2;
