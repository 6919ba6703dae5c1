// How long a connection lives: exact where asked for, spread where jitter is asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lifespan, verdict, type LifetimePolicy } from './lifetime.ts';
import { seeded } from './random.ts';

const policy = (changes: Partial<LifetimePolicy>): LifetimePolicy => ({ maxRequests: 0, maxRequestsJitter: 0, maxAgeMs: 0, maxAgeJitter: 0, ...changes });
const spans = (changes: Partial<LifetimePolicy>) => {
  const random = seeded(3);
  return Array.from({ length: 10_000 }, () => lifespan(policy(changes), random));
};

test('without limits a connection lives for ever', () => {
  assert.equal(verdict(lifespan(policy({}), seeded(1)), 1e12, 1e12), null);
});

test('the last of its requests is the one that ends it', () => {
  const span = lifespan(policy({ maxRequests: 100 }), seeded(1));
  assert.equal(verdict(span, 99, 1e12), null);
  assert.equal(verdict(span, 100, 0), 'max-requests');
});

test('age ends it, too; requests are named first', () => {
  const span = lifespan(policy({ maxRequests: 5, maxAgeMs: 1_000 }), seeded(1));
  assert.equal(verdict(span, 1, 999), null);
  assert.equal(verdict(span, 1, 1_000), 'max-age');
  assert.equal(verdict(span, 5, 1_000), 'max-requests');
});

test('ages are spread evenly over their jitter, around the age', () => {
  const ages = spans({ maxAgeMs: 60_000, maxAgeJitter: 0.1 }).map(({ ageMs }) => ageMs);
  assert.ok(Math.min(...ages) >= 54_000 && Math.max(...ages) < 66_000);
  const deciles = Array.from({ length: 10 }, () => 0);
  for (const age of ages) deciles[Math.floor((age - 54_000) / 1_200)]++;
  for (const count of deciles) assert.ok(count > 850 && count < 1_150, `a tenth holds ${count} of 10,000`);
});

test('requests vary downwards only, and never below one', () => {
  const requests = spans({ maxRequests: 100, maxRequestsJitter: 0.5 }).map((span) => span.requests);
  assert.equal(Math.max(...requests), 100);
  assert.equal(Math.min(...requests), 50);
  assert.ok(spans({ maxRequests: 1, maxRequestsJitter: 1 }).every((span) => span.requests === 1));
});
