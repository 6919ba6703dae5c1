// Says what a running gateway cannot take over from another configuration.
import { isDeepStrictEqual } from 'node:util';
import type { GatewaySettings } from './settings.ts';

/** Keys of the configuration that differ and that a process holds on to for life. */
export function whatStays(before: GatewaySettings, after: GatewaySettings): string[] {
  return (['node', 'engine', 'admin', 'dns'] as const).filter((key) => !isDeepStrictEqual(before[key], after[key]));
}
