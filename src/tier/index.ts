/**
 * The connection tier of a gateway: `openGateway(settings, { tier: connectionTier })` serves routes that lead to a `tier`. The gateway
 * ends sessions and WebSockets itself, and calls an application in any language over HTTP.
 *
 * @module
 */
import type { TierOpener } from '../gateway/ports.ts';
import { afterThis, realClock } from '../host/clock.ts';
import { realFetch } from '../host/fetch.ts';
import { freshName } from '../host/random.ts';
import { openTier } from './tier.ts';

/** For `tier` of `openGateway`. */
export const connectionTier: TierOpener = (settings, node, log) =>
  openTier(settings, { node, clock: realClock, log, fetch: realFetch, freshName, defer: afterThis });
