// Ends a connection at an age that varies by a fraction up and down: gRPC proposal A9, MAX_CONNECTION_AGE (infinite by default;
// 30 minutes is the usual setting) with a jitter of 10 %.
import { Doing } from '../crowd.ts';
import type { SimFleet } from '../fleet.ts';
import type { ScenarioPolicy } from '../scenario.ts';
import type { Policy } from './policy.ts';

export function maxAge(knobs: ScenarioPolicy, fleet: SimFleet): Policy {
  const ageS = knobs.maxAgeS ?? 1800;
  const jitter = knobs.jitter ?? 0.1;
  const { crowd, random } = fleet;
  const due = new Float32Array(crowd.count);
  const deal = (client: number): void => void (due[client] = fleet.nowS + ageS * (1 + jitter * (2 * random.next() - 1)));
  for (let client = 0; client < crowd.count; client++) deal(client);
  fleet.onLanding = deal;
  return {
    second() {
      for (let client = 0; client < crowd.count; client++) {
        if (due[client] <= fleet.nowS && crowd.doing[client] === Doing.connected) fleet.evict(client);
      }
    },
  };
}
