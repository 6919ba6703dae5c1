// EMQX `emqx ctl rebalance start`: waits 60 s for health checks, during which donors look unhealthy; then each donor above the
// recipients' average evicts 500 connections a second, until the donors' average is within 1000 of the recipients', or within
// a factor of 1.1. Donors are the nodes at or above the average. Defaults of emqx_node_rebalance.hrl.
import type { SimFleet } from '../fleet.ts';
import type { ScenarioPolicy } from '../scenario.ts';
import type { Policy } from './policy.ts';

type Phase = { readonly state: 'waiting'; readonly untilS: number } | { readonly state: 'evicting' } | { readonly state: 'done' };

const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

export function emqx(knobs: ScenarioPolicy, fleet: SimFleet): Policy {
  const perS = knobs.evictPerS ?? 500;
  const abs = knobs.absThreshold ?? 1000;
  const rel = knobs.relThreshold ?? 1.1;
  // The operator types the command when the scenario begins.
  let phase: Phase = { state: 'waiting', untilS: knobs.healthWaitS ?? 60 };
  const average = mean(fleet.nodes.map((node) => node.count));
  const donors = fleet.nodes.filter((node) => node.count >= average);
  const recipients = fleet.nodes.filter((node) => node.count < average);
  const within = (): boolean => {
    const high = mean(donors.map((node) => node.count));
    const low = mean(recipients.map((node) => node.count));
    return high <= low + abs || high <= low * rel;
  };
  if (recipients.length === 0) return { second: () => {} };
  for (const donor of donors) fleet.refusing.add(donor.index);
  return {
    second() {
      if (phase.state === 'waiting' && fleet.nowS >= phase.untilS) phase = { state: 'evicting' };
      if (phase.state !== 'evicting') return;
      if (within()) {
        phase = { state: 'done' };
        fleet.refusing.clear();
        return;
      }
      const low = mean(recipients.map((node) => node.count));
      for (const donor of donors) {
        if (donor.up && donor.count > low) for (const client of fleet.firstOf(donor, perS)) fleet.evict(client);
      }
    },
  };
}
