// What the demo's supervisor sends and takes: the shape of a snapshot, and the verbs of its API.

export type ServerState = 'up' | 'starting' | 'draining' | 'down';

export interface ServerFacts {
  readonly id: string;
  readonly state: ServerState;
  readonly pid: number | null;
  readonly connections: number;
  /** Its fair share right now; null where nobody has computed one. */
  readonly target: number | null;
  readonly rotation: 'in' | 'out' | 'down';
}

interface PlanFacts {
  readonly state: 'idle' | 'moving' | 'waiting';
  /** A reason code of the planner, such as `settling`. */
  readonly reason: string | null;
  readonly inFlight: number;
  readonly pacePerS: number;
}

export interface LogEntry {
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
  readonly plan: PlanFacts | null;
  readonly events: readonly LogEntry[];
}

export interface History {
  readonly snapshots: readonly Snapshot[];
}

export type Verb = 'kill' | 'start' | 'drain';

/** Up to here the fleet counts as even. */
export const EVEN_THRESHOLD = 1.05;
