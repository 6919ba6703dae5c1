// What a node misses of its client's messages, by topic: the number that must come next, and how far beyond it the client has
// gone. Messages beyond a hole are dropped; so the hole is only closed where what was dropped was asked for again. A refused
// message leaves a hole as well, until the client has said that it knows.

interface Hole {
  /** The number that must come next. */
  number: number;
  /** The highest that was dropped because of it, or 0. */
  dropped: number;
}

/** Refusals that the client may leave unanswered. */
const UNANSWERED = 1_000;

export class Missed {
  readonly #holes = new Map<string, Hole>();
  /** Numbers that were refused, until the client answers. */
  readonly #refused = new Map<string, Set<number>>();
  #unanswered = 0;

  /** Topics on which something is missing. */
  get topics(): number {
    return this.#holes.size;
  }

  /** Whether a message may be taken. What the client sent before it heard of the hole may not, nor what was refused before. */
  admits(topic: string, number: number): boolean {
    if (this.#refused.get(topic)?.has(number) === true) return false;
    const hole = this.#holes.get(topic);
    if (hole === undefined) return true;
    // From here on the client sends everything again.
    if (number === hole.number) return this.#holes.delete(topic);
    hole.dropped = Math.max(hole.dropped, number);
    return false;
  }

  /** The message `number` is missing, and what came beyond it, up to `upTo`, was dropped. True where the client has to be told. */
  miss(topic: string, number: number, upTo: number): boolean {
    const hole = this.#holes.get(topic);
    const dropped = Math.max(upTo, hole?.dropped ?? 0);
    if (hole !== undefined && hole.number <= number) {
      hole.dropped = dropped;
      return false;
    }
    this.#holes.set(topic, { number, dropped });
    return true;
  }

  /** Everything up to `number` was taken after all, by an earlier attempt. The number to ask for because it was dropped, or null. */
  taken(topic: string, number: number): number | null {
    const hole = this.#holes.get(topic);
    if (hole === undefined || hole.number > number) return null;
    if (hole.dropped <= number) {
      this.#holes.delete(topic);
      return null;
    }
    hole.number = number + 1;
    return hole.number;
  }

  /** The message will not be published, whatever is decided when it comes again. False: too many wait for the client's answer. */
  refuse(topic: string, number: number): boolean {
    const numbers = this.#refused.get(topic) ?? new Set<number>();
    if (numbers.has(number)) return true;
    if (this.#unanswered >= UNANSWERED) return false;
    this.#refused.set(topic, numbers.add(number));
    this.#unanswered++;
    return true;
  }

  /** The client goes on after `to`. */
  lost(topic: string, to: number): void {
    const refused = this.#refused.get(topic);
    for (const number of refused ?? []) {
      if (number <= to && refused?.delete(number) === true) this.#unanswered--;
    }
    if (refused?.size === 0) this.#refused.delete(topic);
    this.taken(topic, to);
  }

  /** Whether `number` must come next, because it was dropped before. */
  awaits(topic: string, number: number): boolean {
    return this.#holes.get(topic)?.number === number;
  }
}
