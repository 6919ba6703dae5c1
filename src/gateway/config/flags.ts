// The settings of a gateway from a few flags, without a file: what a sidecar needs. They mean what the keys of the file mean.
import type { GatewaySettings } from '../settings.ts';
import { gatewaySettings } from './index.ts';
import { showPath } from './mistakes.ts';
import type { Path } from './source.ts';

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
  const input = {
    node: { ...(fleet === undefined ? {} : { fleet }), ...(maxRequests === undefined ? {} : { lifetime: { maxRequests } }) },
    engine,
    admin,
    listeners: listen.map((address) => ({ listen: address, ...(protocol === undefined ? {} : { protocol }) })),
    groups: { [GROUP]: { upstreams: to, ...(balance === undefined ? {} : { balance }), health } },
  };
  return gatewaySettings(input, '.', flagOf);
}

const flagsByPath: readonly (readonly [RegExp, string])[] = [
  [/^listeners/, '--listen'],
  [/^groups\.servers\.upstreams/, '--to'],
  [/^groups\.servers\.health/, '--health'],
  [/^node\.fleet/, '--fleet'],
  [/^engine/, '--engine'],
  [/^admin/, '--admin'],
];

/** Who wrote flags knows nothing of the keys that they stand for. */
function flagOf(path: Path): string {
  const shown = showPath(path);
  return flagsByPath.find(([pattern]) => pattern.test(shown))?.[1] ?? shown;
}
