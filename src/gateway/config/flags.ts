// The settings of a gateway from a few flags, without a file: what a sidecar needs. They mean what the keys of the file mean.
import type { GatewaySettings } from '../settings.ts';
import { gatewaySettings } from './index.ts';

export interface GatewayFlags {
  readonly listen: readonly string[];
  readonly to: readonly string[];
  readonly protocol?: string | undefined;
  readonly balance?: string | undefined;
  readonly health?: string | undefined;
  readonly maxRequests?: number | undefined;
  readonly fleet?: string | undefined;
  /** Default: none; with `fleet` that of this machine, since a fleet of one is none. */
  readonly engine?: string | undefined;
  readonly admin?: string | undefined;
}

/** Name of the only group. */
const GROUP = 'servers';

/** Throws EVENKEEL_BAD_OPTION. */
export function settingsFromFlags(flags: GatewayFlags): GatewaySettings {
  const { listen, to, protocol, balance, health, maxRequests, fleet, engine = fleet === undefined ? undefined : 'local', admin } = flags;
  return gatewaySettings({
    node: { ...(fleet === undefined ? {} : { fleet }), ...(maxRequests === undefined ? {} : { lifetime: { maxRequests } }) },
    engine,
    admin,
    listeners: listen.map((address) => ({ listen: address, ...(protocol === undefined ? {} : { protocol }) })),
    groups: { [GROUP]: { upstreams: to, ...(balance === undefined ? {} : { balance }), health } },
  });
}
