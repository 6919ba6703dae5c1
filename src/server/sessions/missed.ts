// What a node misses of its client's messages, by topic: the number that must come next, and how far beyond it the client has
// gone. Messages beyond a hole are dropped; so the hole is only closed where what was dropped was asked for again.

interface Hole {
  /** The number that must come next. */
  number: number;
  /** The highest that was dropped because of it, or 0. */
  dropped: number;
}

export class Missed {
  readonly #holes = new Map<string, Hole>();

  /** Topics on which something is missing. */
  get topics(): number {
    return this.#holes.size;
  }

  /** Whether a message may be taken. What the client sent before it heard of the hole may not. */
  admits(topic: string, number: number): boolean {
    const hole = this.#holes.get(topic);
    if (hole === undefined) return true;
    // From here on the client sends everything again.
    if (number === hole.number) return this.#holes.delete(topic);
    hole.dropped = Math.max(hole.dropped, number);
    return false;
  }

  /** The message `number` is missing. True where the client has to be told. */
  miss(topic: string, number: number): boolean {
    const hole = this.#holes.get(topic);
    if (hole !== undefined && hole.number <= number) return false;
    this.#holes.set(topic, { number, dropped: hole?.dropped ?? 0 });
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

  /** The client goes on after what it lost. */
  forget(topic: string): void {
    this.#holes.delete(topic);
  }
}
