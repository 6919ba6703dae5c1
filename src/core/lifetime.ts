// Decides when a connection has lived long enough: by requests, by age with jitter, by idle time.
import type { GoodbyeReason } from './goodbye.ts';
import type { Random } from './random.ts';

export interface LifetimePolicy {
  /** Requests after which a connection ends (nginx `keepalive_requests`, there 1000). 0: no limit. */
  readonly maxRequests: number;
  /** Fraction by which `maxRequests` varies downwards per connection, so that a fleet of clients does not end together. */
  readonly maxRequestsJitter: number;
  /** Age after which a connection ends, ms. 0: no limit. */
  readonly maxAgeMs: number;
  /** Fraction by which `maxAgeMs` varies up and down (gRPC A9: 0.1), so that what started together does not end together. */
  readonly maxAgeJitter: number;
}

/** What a connection was dealt when it was opened. */
export interface Lifespan {
  readonly requests: number;
  readonly ageMs: number;
}

const FOR_EVER: Lifespan = { requests: Infinity, ageMs: Infinity };

/** Deals a connection its limits: once, at its start. */
export function lifespan(policy: LifetimePolicy, random: Random): Lifespan {
  if (policy.maxRequests === 0 && policy.maxAgeMs === 0) return FOR_EVER;
  const requests = policy.maxRequests === 0 ? Infinity : Math.max(1, Math.round(policy.maxRequests * (1 - policy.maxRequestsJitter * random.next())));
  const ageMs = policy.maxAgeMs === 0 ? Infinity : policy.maxAgeMs * (1 + policy.maxAgeJitter * (2 * random.next() - 1));
  return { requests, ageMs };
}

/** Whether the connection has had its life, and why. `requests` counts the one being answered. */
export function verdict(span: Lifespan, requests: number, ageMs: number): GoodbyeReason | null {
  if (requests >= span.requests) return 'max-requests';
  if (ageMs >= span.ageMs) return 'max-age';
  return null;
}
