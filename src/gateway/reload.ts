// Says what a running gateway cannot take over from another configuration, and what this version does not serve.
import { isDeepStrictEqual } from 'node:util';
import { EvenkeelError } from '../core/errors.ts';
import type { GatewaySettings } from './settings.ts';

/** Keys of the configuration that differ and that a process holds on to for life. */
export function whatStays(before: GatewaySettings, after: GatewaySettings): string[] {
  return (['node', 'engine', 'admin', 'dns'] as const).filter((key) => !isDeepStrictEqual(before[key], after[key]));
}

/** Throws EVENKEEL_BAD_OPTION for a route that nothing here serves. */
export function checkServed({ routes }: GatewaySettings): void {
  const at = routes.findIndex(({ target }) => target.kind === 'tier');
  if (at !== -1) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `routes[${at}] must lead to a group, redirect or assign in this version, got tier`);
}
