/**
 * The client's addresses from DNS, in Node: `connect({ url: srvUrl('_evenkeel._tcp.example.org') })` goes where SRV records say, first
 * to those of the lowest priority that neither failed nor send their clients away.
 *
 * @module
 */
import { Resolver } from 'node:dns/promises';
import type { Random } from '../../core/random.ts';
import { inSrvOrder } from '../../core/srv-order.ts';
import { clientClock, clientRandom, type ClientClock } from '../../host/browser.ts';
import { ClientError } from '../errors.ts';
import type { PickUrl } from '../options.ts';

/** As `node:dns` tells it. `ttl` in seconds: of resolvers that know it, as those of Node do not. */
export interface SrvTarget {
  readonly name: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
  readonly ttl?: number | undefined;
}

/** What is needed of a resolver: `node:dns/promises`, a `Resolver` of it, or one of your own. */
export interface SrvResolver {
  resolveSrv(name: string): Promise<readonly SrvTarget[]>;
}

export interface SrvOptions {
  /** `wss:`, or else `ws:`. Default true. */
  readonly tls?: boolean | undefined;
  /** Where the targets have their sessions. Default `/evenkeel`, as theirs. */
  readonly path?: string | undefined;
  /** How long an answer is believed that tells no TTL, ms. Default 30,000: as long as a target that failed is avoided. */
  readonly rememberMs?: number | undefined;
  /** Default: the servers of the system, 2 s and two tries for each question, so that the attempt has time left. */
  readonly resolver?: SrvResolver | undefined;
  readonly clock?: Pick<ClientClock, 'now'> | undefined;
  readonly random?: Random | undefined;
}

/** A resolver of its own for each question: the machine may be in another network by then. */
const systemResolver: SrvResolver = { resolveSrv: (name) => new Resolver({ timeout: 2_000, tries: 2 }).resolveSrv(name) };
/** After a failure the last answer is used for so long without asking again, so that a resolver that is silent does not hold up every attempt. */
const FAILED_MS = 5_000;
/** No TTL is taken for longer: what was once a mistake would last for ever. */
const LONGEST_MS = 3_600_000;
/** Of several that are as good, the one that stands first. */
const first: Random = { next: () => 0 };

/**
 * For `url` of `connect`, and of as many clients as like: they share what is remembered. The order is that of RFC 2782, drawn anew for each
 * attempt. Answers are believed for their TTL; when DNS fails, the last one goes on to hold. Throws `badValue` for a name that is
 * none of a service.
 */
export function srvUrl(name: string, options: SrvOptions = {}): (pick: PickUrl) => Promise<string> {
  const { tls = true, path = '/evenkeel', resolver = systemResolver, rememberMs = 30_000, clock = clientClock, random = clientRandom } = options;
  if (!/^_[^.]+\._[^.]+\../.test(name)) throw new ClientError('badValue', `a service is named _service._proto.name, got ${name}`);
  if (!(rememberMs >= 0)) throw new ClientError('badValue', `rememberMs must be 0 or more, got ${rememberMs}`);
  const urlOf = ({ name, port }: SrvTarget): string => `${tls ? 'wss' : 'ws'}://${name}:${port}`;
  let known: readonly SrvTarget[] = [];
  let knownUntil = -Infinity;
  let asking: Promise<void> | null = null;

  const ask = async (): Promise<void> => {
    try {
      const targets = (await resolver.resolveSrv(name)).filter((target) => isHost(target.name) && URL.canParse(urlOf(target)));
      if (targets.length === 0) throw new ClientError('noEndpoint', `${name} names no host`);
      known = targets;
      knownUntil = clock.now() + lifeMs(known, rememberMs);
    } catch (error) {
      if (known.length === 0) throw error;
      knownUntil = clock.now() + FAILED_MS;
    } finally {
      asking = null;
    }
  };
  return async (pick) => {
    if (!(clock.now() < knownUntil)) await (asking ??= ask());
    const urls = inSrvOrder(known, random).map((target) => new URL(path, urlOf(target)).href);
    return pick(urls, first);
  };
}

/** A target `.` says that there is no such service. What is no name of a host would become another part of the address. */
const isHost = (name: string): boolean => /^[\w-][\w.-]*$/.test(name);

const lifeMs = (targets: readonly SrvTarget[], rememberMs: number): number =>
  Math.min(...targets.map(({ ttl }) => (ttl === undefined ? rememberMs : Math.min(LONGEST_MS, ttl * 1_000))));
