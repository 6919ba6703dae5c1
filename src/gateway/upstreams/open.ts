// Opens a group with the real world around it: discovery as its settings say, checks over connections of the dialer.
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import type { Dialer, GroupHandle } from '../ports.ts';
import type { GroupSettings } from '../settings.ts';
import { discover } from './discovery/discover.ts';
import { UpstreamGroup } from './group.ts';
import { dialledProbe } from './probe.ts';

export interface OpenGroupPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For health checks; called for the first time after `openGroup` has returned. */
  readonly dialer: Dialer;
}

/** Works from now on: checks and discovery run until `close`. Throws EVENKEEL_BAD_OPTION where a discovery cannot even begin. */
export function openGroup(settings: GroupSettings, { clock, random, log, dialer }: OpenGroupPorts): GroupHandle {
  const open = discover({ clock, random, log, group: settings.name });
  return new UpstreamGroup(settings, { clock, random, log, open, probe: dialledProbe({ clock, dialer }) });
}
