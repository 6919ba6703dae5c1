// The account of everything that many clients did: what they sent, what was answered, what failed and how connections ended.
import { Histogram, type HistogramState } from '../../core/histogram.ts';
import type { Verdict } from '../../judge/judge.ts';

/** The answer of `evenkeel swarm`. What these protocols cannot tell is null. */
export interface SwarmReport {
  readonly clients: number;
  /** Clients that held a connection at the end. */
  readonly connected: number;
  /** Connections that were tried. */
  readonly attempts: number;
  readonly requests: number;
  readonly failedRequests: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly delivered: number | null;
  readonly lost: number | null;
  readonly duplicated: number | null;
  readonly outOfOrder: number | null;
  readonly gaps: number | null;
  readonly silentGaps: number | null;
  readonly foreign: number | null;
  readonly undecided: number | null;
  readonly closeCodes: Readonly<Record<string, number>>;
  readonly latencyMs: { readonly p50: number | null; readonly p99: number | null; readonly max: number | null };
}

/** The account as one process tells it to another. */
export interface AccountState {
  readonly clients: number;
  readonly connected: number;
  readonly attempts: number;
  readonly requests: number;
  readonly failedRequests: number;
  readonly sent: number;
  readonly acknowledged: number;
  readonly closeCodes: Readonly<Record<string, number>>;
  /** What went wrong, by error code or status, whether a request failed with it or not; for people. */
  readonly failures: Readonly<Record<string, number>>;
  readonly latency: HistogramState;
}

/** Kinds of failures or close codes that are told apart; any more count as `other`. */
const KINDS = 100;

export class Account {
  readonly clients: number;
  connected = 0;
  attempts = 0;
  requests = 0;
  failedRequests = 0;
  /** Requests and messages that were handed to a connection; one that is sent again counts once. */
  sent = 0;
  acknowledged = 0;
  readonly #closeCodes: Record<string, number> = {};
  readonly #failures: Record<string, number> = {};
  readonly #latency = new Histogram();

  constructor(clients: number) {
    this.clients = clients;
  }

  answered(latencyMs: number): void {
    this.acknowledged++;
    this.#latency.record(latencyMs);
  }

  failed(why: string): void {
    this.failedRequests++;
    count(this.#failures, why);
  }

  /** A connection could not be opened, and no request failed with it. */
  notConnected(why: string): void {
    count(this.#failures, `connecting: ${why}`);
  }

  closed(code: number): void {
    count(this.#closeCodes, String(code));
  }

  get state(): AccountState {
    const { clients, connected, attempts, requests, failedRequests, sent, acknowledged } = this;
    const counters = { clients, connected, attempts, requests, failedRequests, sent, acknowledged };
    return { ...counters, closeCodes: { ...this.#closeCodes }, failures: { ...this.#failures }, latency: this.#latency.state };
  }
}

/** One account for the clients of several processes. */
export function addUp(parts: readonly AccountState[]): AccountState {
  const latency = new Histogram();
  for (const part of parts) latency.add(part.latency);
  const sum = (pick: (part: AccountState) => number): number => parts.reduce((total, part) => total + pick(part), 0);
  return {
    clients: sum((part) => part.clients),
    connected: sum((part) => part.connected),
    attempts: sum((part) => part.attempts),
    requests: sum((part) => part.requests),
    failedRequests: sum((part) => part.failedRequests),
    sent: sum((part) => part.sent),
    acknowledged: sum((part) => part.acknowledged),
    closeCodes: addCounts(parts.map((part) => part.closeCodes)),
    failures: addCounts(parts.map((part) => part.failures)),
    latency: latency.state,
  };
}

/** `verdict`: of the judge, where there was one. */
export function report(state: AccountState, verdict: Verdict | null): SwarmReport {
  const latency = new Histogram();
  latency.add(state.latency);
  const { clients, connected, attempts, requests, failedRequests, sent, acknowledged, closeCodes } = state;
  const max = latency.count === 0 ? null : latency.max;
  return {
    clients,
    connected,
    attempts,
    requests,
    failedRequests,
    sent,
    acknowledged,
    delivered: verdict?.delivered ?? null,
    lost: verdict?.lost ?? null,
    duplicated: verdict?.duplicated ?? null,
    outOfOrder: verdict?.outOfOrder ?? null,
    gaps: verdict?.gaps ?? null,
    silentGaps: verdict?.silentGaps ?? null,
    foreign: verdict?.foreign ?? null,
    undecided: verdict?.undecided ?? null,
    closeCodes,
    latencyMs: { p50: rounded(latency.quantile(0.5)), p99: rounded(latency.quantile(0.99)), max: rounded(max) },
  };
}

function count(counts: Record<string, number>, kind: string): void {
  const name = kind in counts || Object.keys(counts).length < KINDS ? kind : 'other';
  counts[name] = (counts[name] ?? 0) + 1;
}

function addCounts(parts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const part of parts) for (const [kind, times] of Object.entries(part)) sum[kind] = (sum[kind] ?? 0) + times;
  return sum;
}

const rounded = (value: number | null): number | null => (value === null ? null : Math.round(value * 100) / 100);
