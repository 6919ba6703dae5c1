// What became of the upstreams that a request was tried at, and from that who may be tried next. Made when the first of them fails.
import type { Group, Upstream } from '../ports.ts';

/** So many upstreams at most lose a request without a word: what kills one server must not go on to all. */
const SUSPECTS = 2;

/** Before an upstream is tried again that may be restarting, as HAProxy has it. */
export const TURN_AROUND_MS = 1_000;

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

  /** It ended without a word after it had got the request: it restarts, or the request has killed it. */
  suspect(upstream: Upstream): void {
    if (!this.#suspects.includes(upstream)) this.#suspects.push(upstream);
  }

  /**
   * It could not take the request. When another one may be tried; `later`: nobody but the suspects is asked any more, and they need a
   * moment to come back.
   */
  failed(upstream: Upstream): 'now' | 'later' | 'never' {
    if (this.#count++ >= this.#group.settings.retries) return 'never';
    if (this.#suspects.length < SUSPECTS) {
      this.#without.add(upstream);
      return 'now';
    }
    this.#without = new Set(this.#group.upstreams.filter((one) => !this.#suspects.includes(one)));
    return 'later';
  }
}
