// Sets of whole numbers kept as sorted ranges. What arrives complete and in order is one range, however long it gets.

export class Ranges {
  /** First and last number of each range, in ascending order; neighbours are never adjacent. */
  readonly #edges: number[] = [];
  #count = 0;

  /** From 1 to `last`. */
  static upTo(last: number): Ranges {
    const ranges = new Ranges();
    if (last > 0) ranges.#edges.push(1, last);
    ranges.#count = last;
    return ranges;
  }

  get count(): number {
    return this.#count;
  }

  /** The largest number; 0 when empty. */
  get max(): number {
    return this.#edges.at(-1) ?? 0;
  }

  has(number: number): boolean {
    const at = this.#rangeFrom(number);
    return at < this.#edges.length && this.#edges[at] <= number;
  }

  /** False when it was there already. */
  add(number: number): boolean {
    const edges = this.#edges;
    const end = edges.length;
    if (end > 0 && number === edges[end - 1] + 1) edges[end - 1] = number;
    else if (end === 0 || number > edges[end - 1]) edges.push(number, number);
    else if (!this.#insert(number)) return false;
    this.#count++;
    return true;
  }

  /** The numbers of this set that none of the others has. Work is in ranges, not in numbers, for all that the others have. */
  *without(...others: readonly Ranges[]): Generator<number> {
    for (let i = 0; i < this.#edges.length; i += 2) {
      for (let number = this.#edges[i]; number <= this.#edges[i + 1]; number++) {
        const beyond = Math.max(0, ...others.map((other) => other.#endAt(number)));
        if (beyond === 0) yield number;
        else number = beyond;
      }
    }
  }

  /** The last number of the range that holds `number`; 0 when none does. */
  #endAt(number: number): number {
    const at = this.#rangeFrom(number);
    return at < this.#edges.length && this.#edges[at] <= number ? this.#edges[at + 1] : 0;
  }

  #insert(number: number): boolean {
    const edges = this.#edges;
    const at = this.#rangeFrom(number);
    if (edges[at] <= number) return false;
    const touchesLeft = at > 0 && edges[at - 1] === number - 1;
    const touchesRight = edges[at] === number + 1;
    if (touchesLeft && touchesRight) edges.splice(at - 1, 2);
    else if (touchesLeft) edges[at - 1] = number;
    else if (touchesRight) edges[at] = number;
    else edges.splice(at, 0, number, number);
    return true;
  }

  /** Index of the first range that ends at `number` or later. */
  #rangeFrom(number: number): number {
    let low = 0;
    let high = this.#edges.length / 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#edges[2 * middle + 1] < number) low = middle + 1;
      else high = middle;
    }
    return 2 * low;
  }
}
