// A set for things of which there is mostly one: it keeps that one itself, in 40 bytes instead of 220, and makes a Set for more.

export class Few<T> {
  #one: T | null = null;
  #more: Set<T> | null = null;

  get size(): number {
    return this.#more?.size ?? (this.#one === null ? 0 : 1);
  }

  has(item: T): boolean {
    return this.#more?.has(item) ?? this.#one === item;
  }

  add(item: T): void {
    if (this.#more !== null) this.#more.add(item);
    else if (this.#one === null) this.#one = item;
    else if (this.#one !== item) {
      this.#more = new Set([this.#one, item]);
      this.#one = null;
    }
  }

  /** Whether it was there. */
  delete(item: T): boolean {
    if (this.#more !== null) return this.#more.delete(item);
    if (this.#one !== item) return false;
    this.#one = null;
    return true;
  }

  /** In the order in which they came. What `use` deletes is not told any more; it may delete any of them. */
  forEach(use: (item: T) => void): void {
    if (this.#more !== null) this.#more.forEach((item) => use(item));
    else if (this.#one !== null) use(this.#one);
  }
}
