// The policies that can be compared: ours runs inside the nodes; a peer's acts on them from outside, once a second.
import type { SimFleet } from '../fleet.ts';
import type { ScenarioPolicy } from '../scenario.ts';
import { emqx } from './emqx.ts';
import { maxAge } from './max-age.ts';
import { maxRequests } from './max-requests.ts';
import { nats } from './nats.ts';
import { piko } from './piko.ts';

export interface Policy {
  second(): void;
}

/** Nobody does anything: what a layer-4 balancer gives. Ours needs nothing from outside either. */
const nothing: Policy = { second: () => {} };

export function policyFor(policy: ScenarioPolicy, fleet: SimFleet): Policy {
  switch (policy.name) {
    case 'evenkeel':
    case 'none':
      return nothing;
    case 'max-requests':
      return maxRequests(policy, fleet);
    case 'max-age':
      return maxAge(policy, fleet);
    case 'emqx':
      return emqx(policy, fleet);
    case 'nats':
      return nats(policy, fleet);
    case 'piko':
      return piko(policy, fleet);
  }
}
