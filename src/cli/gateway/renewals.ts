// Decides what a reload can change in place, and what takes new processes.
import { isDeepStrictEqual } from 'node:util';
import { tiersOf, whatStays } from '../../gateway/reload.ts';
import type { GatewaySettings, ListenerSettings } from '../../gateway/settings.ts';

/** What differs that a process holds on to for life, by the name that it has in the configuration. */
export function renewals(before: GatewaySettings, after: GatewaySettings): string[] {
  const changed: string[] = whatStays(before, after);
  const places = (listeners: readonly ListenerSettings[]): string[] =>
    listeners.map(({ listen, protocol, group }) => JSON.stringify([listen, protocol, group])).toSorted();
  if (!isDeepStrictEqual(tiersOf(before), tiersOf(after))) changed.push('tier');
  return isDeepStrictEqual(places(before.listeners), places(after.listeners)) ? changed : ['listeners', ...changed];
}
