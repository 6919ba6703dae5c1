// Clients that were sent straight to an upstream, and what becomes of what is counted for them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../core/clock.ts';
import type { Outcome, Upstream } from '../ports.ts';
import type { GroupSettings } from '../settings.ts';
import { Landings } from './landings.ts';

test('a client that was shown the way counts for a while, and then says nothing of the upstream', () => {
  const clock = new VirtualClock();
  const landings = new Landings(clock);
  const outcomes: Outcome[] = [];
  let active = 0;
  const upstream: Upstream = {
    name: 'a',
    group: 'web',
    settings: {} as GroupSettings,
    address: { host: '127.0.0.1', port: 1 },
    active: 0,
    draining: false,
    begin: () => void active++,
    answered: () => {},
    end: (outcome) => {
      active--;
      outcomes.push(outcome);
    },
  };
  landings.expect(upstream);
  landings.expect(upstream);
  assert.equal(active, 2);
  clock.advance(17_000);
  assert.equal(active, 0);
  // "ok" would close the breaker of an upstream that nobody has heard of.
  assert.deepEqual(outcomes, ['aborted', 'aborted']);
  landings.close();
});
