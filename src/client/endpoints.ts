// Which of several addresses the next link is opened at: one that neither failed nor sends its clients away, by lot.
import { below, type Random } from '../core/random.ts';
import { adviceFor, CloseCode } from '../protocol/close-codes.ts';
import type { LinkEnd } from './link.ts';

/** A node that failed may be back after this. */
const FAILED_MS = 30_000;
/** A node that sends its clients away restarts, which takes longer. */
export const LEAVING_MS = 60_000;

/** How long to keep away from an address whose link ended so, ms. */
export function avoidMs(end: LinkEnd, wasWelcomed: boolean): number {
  if (end.code === CloseCode.restart) return LEAVING_MS;
  if (end.code === CloseCode.tryLater) return 0;
  return !wasWelcomed || end.code === 0 || end.code === 1006 || adviceFor(end.code) === 'elsewhere' ? FAILED_MS : 0;
}

/** Addresses are told apart by host and port: a move names a node in its own way. */
export class Endpoints {
  readonly #avoided = new Map<string, number>();

  avoid(url: string, until: number): void {
    const host = hostOf(url);
    this.#avoided.set(host, Math.max(until, this.#avoided.get(host) ?? 0));
  }

  /** Where all are to be avoided, the one whose time is over first. */
  pick(urls: readonly string[], now: number, random: Random): string {
    for (const [host, until] of this.#avoided) if (until <= now) this.#avoided.delete(host);
    const until = (url: string): number => this.#avoided.get(hostOf(url)) ?? 0;
    const soonest = Math.min(...urls.map(until));
    const good = urls.filter((url) => until(url) === soonest);
    return good[below(random, good.length)];
  }
}

const hostOf = (url: string): string => /^\w+:\/\/([^/?#]*)/.exec(url)?.[1] ?? '';
