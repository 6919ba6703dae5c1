// The admission gate: how many come in, and how the slots of the others lie.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { AdmissionGate } from './admission.ts';

const arrivals = fc.record({ perS: fc.integer({ min: 1, max: 2_000 }), burstMs: fc.nat(2_000), pauses: fc.array(fc.nat(300), { maxLength: 200 }) });

test('no two slots are closer than the rate allows, nobody comes in beyond rate and burst', () => {
  always(arrivals, ({ perS, burstMs, pauses }) => {
    const gate = new AdmissionGate({ perS, burstMs });
    let now = 0;
    let last = -Infinity;
    let admitted = 0;
    for (const pause of pauses) {
      now += pause;
      const answer = gate.arrive(now, false);
      if (answer.admitted) {
        admitted++;
        continue;
      }
      assert.ok(now + answer.retryMs >= last + 1000 / perS - 1e-6, 'one slot after the other');
      last = now + answer.retryMs;
    }
    assert.ok(admitted <= ((now + burstMs) * perS) / 1000 + 1);
  });
});

test('what is asked for in advance is what the next one gets, and asking takes nothing', () => {
  always(arrivals, ({ perS, burstMs, pauses }) => {
    const gate = new AdmissionGate({ perS, burstMs });
    let now = 0;
    for (const pause of pauses) {
      now += pause;
      const waitMs = gate.waitMs(now);
      assert.equal(gate.waitMs(now), waitMs);
      const answer = gate.arrive(now, false);
      assert.equal(answer.admitted ? 0 : answer.retryMs, waitMs);
    }
  });
});

test('who was invited comes in and takes nobody else his slot', () => {
  const gate = new AdmissionGate({ perS: 1, burstMs: 0 });
  const before = gate.waitMs(0);
  assert.deepEqual(gate.arrive(0, true), { admitted: true });
  assert.equal(gate.waitMs(0), before);
});
