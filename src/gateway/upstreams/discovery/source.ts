// The port of discovery: something that says which upstreams there are, now and whenever that changes.
import { showAddress } from '../../../core/address.ts';
import type { Clock } from '../../../core/clock.ts';
import type { Log } from '../../../core/log.ts';
import type { Random } from '../../../core/random.ts';
import type { Address, DiscoverySettings } from '../../settings.ts';

/** An upstream as a source names it. */
export interface Listed {
  /** Unique within what the source delivers; if it is not, the first one counts. */
  readonly name: string;
  readonly address: Address;
  readonly weight: number;
  /** `out`: takes nothing new, what it carries stays. `draining`: what it carries should go elsewhere too. */
  readonly state: 'up' | 'out' | 'draining';
}

/**
 * Told the whole list whenever it may have changed, also within the call that opens the source, never after its `close`. A source
 * that fails tells nothing: the last list holds. It logs when it begins to fail and when it is well again, not each time.
 */
export type Deliver = (listed: readonly Listed[]) => void;

export interface Source {
  close(): void;
}

export interface SourcePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** For logs. */
  readonly group: string;
}

export type OpenSource = (settings: DiscoverySettings, deliver: Deliver) => Source;

/** More than this no source delivers; the rest is left out, and the log says so. */
export const MOST_UPSTREAMS = 10_000;

/** How an upstream is named unless told otherwise. */
export const nameOf: (address: Address) => string = showAddress;
