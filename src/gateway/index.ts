/**
 * The gateway: `await openGateway(readGatewayFile('gateway.yaml'))` is a front door for servers in any language, and a node of a
 * fleet like any other. `evenkeel gateway` runs it as a command.
 *
 * @module
 */
import type { Log } from '../core/log.ts';
import { realClock } from '../host/clock.ts';
import { realFetch } from '../host/fetch.ts';
import { loadSampler } from '../host/load.ts';
import { freshName, realRandom } from '../host/random.ts';
import { logOf } from '../host/warnings.ts';
import { Gateway } from './gateway.ts';
import type { GatewaySettings } from './settings.ts';

export { EvenkeelError, errorCodes, type ErrorCode } from '../core/errors.ts';
export type { Log } from '../core/log.ts';
export { gatewayJsonSchema, gatewaySettings, readGatewayFile } from './config/index.ts';
export type { Gateway } from './gateway.ts';
export type { GroupHandle, UpstreamState, UpstreamStatus } from './ports.ts';
export type { GatewaySettings } from './settings.ts';
export type { RelayedWebSocket } from './websocket/relay.ts';

export interface GatewayOptions {
  /** Where facts go; a pino logger fits. Default: warnings and errors are warnings of the process, each at most once a minute. `null`: nowhere. */
  readonly log?: Log | null | undefined;
  /** What `POST /api/reload` of its admin API does: read the configuration again and call `reload`. Default: it is refused. */
  readonly reload?: (() => Promise<void>) | undefined;
}

/**
 * Opens a gateway. Resolves once every listener listens; rejects with EVENKEEL_BAD_OPTION or EVENKEEL_PORT_TAKEN, and then nothing
 * was started.
 */
export function openGateway(settings: GatewaySettings, { log, reload }: GatewayOptions = {}): Promise<Gateway> {
  return Gateway.open(settings, {
    clock: realClock,
    random: realRandom,
    log: logOf(log),
    incarnation: freshName(),
    sampler: loadSampler(),
    fetch: realFetch,
    reload: reload ?? null,
    openTier: null,
  });
}
