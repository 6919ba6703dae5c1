// `nats server cluster balance`: an operator types it with a duration; every server kicks what it has above
// ceil(total / servers), evenly over that time, and never looks again (jsm.go, connbalancer/balancer.go).
import type { SimFleet } from '../fleet.ts';
import type { ScenarioPolicy } from '../scenario.ts';
import type { Policy } from './policy.ts';

export function nats(knobs: ScenarioPolicy, fleet: SimFleet): Policy {
  const startS = knobs.startS ?? 0;
  const durationS = knobs.durationS ?? 120;
  let excess: number[] | null = null;
  const kicked: number[] = [];
  return {
    second() {
      if (fleet.nowS < startS || fleet.nowS > startS + durationS + 1) return;
      const target = Math.ceil(fleet.nodes.reduce((sum, node) => sum + node.count, 0) / fleet.nodes.length);
      excess ??= fleet.nodes.map((node) => Math.max(0, node.count - target));
      const part = Math.min(1, (fleet.nowS - startS) / durationS);
      fleet.nodes.forEach((node, i) => {
        const due = Math.floor((excess?.[i] ?? 0) * part) - (kicked[i] ?? 0);
        if (due <= 0 || !node.up) return;
        kicked[i] = (kicked[i] ?? 0) + due;
        for (const client of fleet.firstOf(node, due)) fleet.evict(client);
      });
    },
  };
}
