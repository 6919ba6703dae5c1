// Ends a connection after a number of requests, on every node alike: nginx `keepalive_requests` (1000 by default since 1.19.10,
// 100 before), Envoy `max_requests_per_connection`, and middlewares that count per connection.
import type { SimFleet } from '../fleet.ts';
import type { ScenarioPolicy } from '../scenario.ts';
import type { Policy } from './policy.ts';

export function maxRequests(knobs: ScenarioPolicy, fleet: SimFleet): Policy {
  const most = knobs.maxRequests ?? 1000;
  const requests = new Uint32Array(fleet.crowd.count);
  fleet.onRequest = (client) => {
    if (++requests[client] < most) return false;
    requests[client] = 0;
    return true;
  };
  return { second: () => {} };
}
