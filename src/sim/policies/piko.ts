// Piko's rebalancer: every second each node compares itself with the cluster's average; above the threshold (0.2 is suggested, 0
// is off) it sheds min(local * balance, ceil(average * shed rate)), 0.5 % of the average by default, never below 50
// connections (server/upstream/server.go, Rebalance).
import type { SimFleet } from '../fleet.ts';
import type { ScenarioPolicy } from '../scenario.ts';
import type { Policy } from './policy.ts';

export function piko(knobs: ScenarioPolicy, fleet: SimFleet): Policy {
  const threshold = knobs.threshold ?? 0.2;
  const shedRate = knobs.shedRate ?? 0.005;
  const minConns = knobs.minConns ?? 50;
  return {
    second() {
      const up = fleet.nodes.filter((node) => node.up);
      const average = up.reduce((sum, node) => sum + node.count, 0) / up.length;
      for (const node of up) {
        const balance = (node.count - average) / average;
        if (threshold === 0 || balance < threshold || node.count < minConns) continue;
        const shed = Math.min(Math.floor(node.count * balance), Math.ceil(average * shedRate));
        for (const client of fleet.firstOf(node, shed)) fleet.evict(client);
      }
    },
  };
}
