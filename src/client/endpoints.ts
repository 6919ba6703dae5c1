// Which of several addresses the next link is opened at: one that neither failed nor sent its clients away, by lot.
import { below, type Random } from '../core/random.ts';
import { adviceFor, CloseCode } from '../protocol/close-codes.ts';
import type { LinkEnd } from './link.ts';

/** Why to keep away from an address, the lesser reason first: it answered, but sent its clients away; or it did not even answer. */
export type Reason = 'leaving' | 'failed';

/** A node that failed may be back after this. A node that sends its clients away restarts, which takes longer. */
const AVOID_MS: Readonly<Record<Reason, number>> = { leaving: 60_000, failed: 30_000 };

/** Why to keep away from an address whose link ended so; null: no reason. */
export function reasonOf(end: LinkEnd, wasWelcomed: boolean): Reason | null {
  if (end.code === CloseCode.restart) return 'leaving';
  if (end.code === CloseCode.tryLater) return null;
  return !wasWelcomed || end.code === 0 || end.code === 1006 || adviceFor(end.code) === 'elsewhere' ? 'failed' : null;
}

/** Addresses are told apart by host and port: a move names a node in its own way. */
export class Endpoints {
  readonly #avoided = new Map<string, { readonly reason: Reason; readonly until: number }>();

  avoid(url: string, reason: Reason, now: number): void {
    this.#avoided.set(hostOf(url), { reason, until: now + AVOID_MS[reason] });
  }

  /** Where all are to be avoided: one that answered, then the one whose time is over first. */
  pick(urls: readonly string[], now: number, random: Random): string {
    for (const [host, { until }] of this.#avoided) if (until <= now) this.#avoided.delete(host);
    const cost = (url: string): number => {
      const avoided = this.#avoided.get(hostOf(url));
      return avoided ? avoided.until + (avoided.reason === 'failed' ? 1e9 : 0) : 0;
    };
    const least = Math.min(...urls.map(cost));
    const good = urls.filter((url) => cost(url) === least);
    return good[below(random, good.length)];
  }
}

/** As a URL, as links are named by what theirs became: a port that goes without saying is dropped. Relative ones are all of one host. */
const hostOf = (url: string): string => new URL(url, 'ws:x').host;
