// Says what a running gateway cannot take over from another configuration.
import { isDeepStrictEqual } from 'node:util';
import { EvenkeelError } from '../core/errors.ts';
import type { GatewaySettings, TierSettings } from './settings.ts';

/** Keys of the configuration that differ and that a process holds on to for life. */
export function whatStays(before: GatewaySettings, after: GatewaySettings): string[] {
  return (['node', 'engine', 'admin', 'dns'] as const).filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

/** Of all routes, each once. */
export function tiersOf({ routes }: GatewaySettings): TierSettings[] {
  const found: TierSettings[] = [];
  for (const { target } of routes) if (target.kind === 'tier' && !found.some((tier) => isDeepStrictEqual(tier, target.tier))) found.push(target.tier);
  return found;
}

/** Throws EVENKEEL_BAD_OPTION where a reload wants other connection tiers: their addresses are taken by those that are there. */
export function checkTiers(before: GatewaySettings, after: GatewaySettings): void {
  if (isDeepStrictEqual(tiersOf(before), tiersOf(after))) return;
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', 'the tiers of the routes must stay as they are while the process runs, got others');
}
