// What a zone says of its hosts: who is told for a name, in which order, so that clients go where there is room. Pure.
import type { Random } from '../../core/random.ts';

/** An upstream as the zone sees it. */
export interface Host {
  /** IP address, or a name, which can be told as the target of an SRV record only. */
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  /** Connections that it carries now. */
  readonly load: number;
  /** Healthy, and not about to go. */
  readonly takes: boolean;
}

/**
 * Hosts of one address as one host, since an address is told once (RFC 2181, section 5). Who takes nothing says nothing of those beside it
 * that do.
 */
export function perAddress(hosts: readonly Host[]): Host[] {
  const found = new Map<string, Host>();
  for (const host of hosts) {
    const known = found.get(host.host);
    if (known === undefined || (host.takes && !known.takes)) found.set(host.host, host);
    else if (known.takes === host.takes) found.set(host.host, { ...known, weight: known.weight + host.weight, load: known.load + host.load });
  }
  return [...found.values()];
}

/** Room above an even share: hosts that are even are told in proportion to their weights, not by the last connection. */
const SLACK = 0.1;

/**
 * Up to `most` of `hosts`, drawn by lot without putting back: the more a host lacks of its share of the load, the likelier it
 * comes first. A lot, because a cache tells the same answer to many. Where nobody takes anything all are told: a health check
 * that is wrong about everybody must not take the service off the net.
 */
export function toldHosts(hosts: readonly Host[], most: number, random: Random): readonly Host[] {
  const taking = hosts.filter((host) => host.takes && host.weight > 0);
  const left = taking.length > 0 ? taking : [...hosts];
  const weights = left.reduce((sum, host) => sum + Math.max(host.weight, 0), 0);
  const load = left.reduce((sum, host) => sum + host.load, 0);
  const lacks = left.map(({ weight, load: own }) => {
    const share = weights > 0 ? weight / weights : 1 / left.length;
    return Math.max(0, load * share * (1 + SLACK) - own) + share;
  });
  const told: Host[] = [];
  while (told.length < most && left.length > 0) {
    const drawn = draw(lacks, random);
    told.push(left[drawn]);
    left.splice(drawn, 1);
    lacks.splice(drawn, 1);
  }
  return told;
}

function draw(chances: readonly number[], random: Random): number {
  let at = random.next() * chances.reduce((sum, chance) => sum + chance, 0);
  for (let i = 0; i < chances.length; i++) {
    at -= chances[i];
    if (at < 0) return i;
  }
  return chances.length - 1;
}

/** A name of its own for an address, so that SRV records have a target: `10-0-0-1`, `fd00--1`. */
export const labelOf = (address: string): string => address.replaceAll(/[.:]/g, '-').toLowerCase();
