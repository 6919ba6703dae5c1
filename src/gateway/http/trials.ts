// What became of the upstreams that a request was tried at, and from that who may be tried next. Made when the first of them fails.
import type { Group, Upstream } from '../ports.ts';

/** So many upstreams at most lose a request without a word: what kills one server must not go on to all. */
const SUSPECTS = 2;

export class Trials {
  readonly #group: Group;
  #count = 0;
  #redialled: Upstream | null = null;
  readonly #suspects: Upstream[] = [];
  #without = new Set<Upstream>();

  constructor(group: Group) {
    this.#group = group;
  }

  /** Who is not to be asked now. */
  get without(): ReadonlySet<Upstream> {
    return this.#without;
  }

  /** Whether it may be tried over another connection, as the one that was kept had ended. Once: then it is its own failure. */
  redials(upstream: Upstream): boolean {
    if (this.#redialled === upstream) return false;
    this.#redialled = upstream;
    return true;
  }

  /**
   * It ended without a word after it had got the request: it restarts, or the request has killed it. Once two have, one of them may be
   * back, and nobody else is asked.
   */
  suspect(upstream: Upstream): void {
    if (!this.#suspects.includes(upstream)) this.#suspects.push(upstream);
    if (this.#suspects.length >= SUSPECTS) this.#without = new Set(this.#group.upstreams.filter((one) => !this.#suspects.includes(one)));
  }

  /** It could not take the request. Whether another one may be tried. */
  failed(upstream: Upstream): boolean {
    this.#without.add(upstream);
    return this.#count++ < this.#group.settings.retries;
  }
}
