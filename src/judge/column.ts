// A list of whole numbers from 0 to 2^32 - 1 that grows as it is written, at four bytes each. What was never written is 0.

export class Column {
  #cells = new Uint32Array(64);

  get(index: number): number {
    return this.#cells[index] ?? 0;
  }

  set(index: number, value: number): void {
    if (index >= this.#cells.length) {
      const grown = new Uint32Array(Math.max(index + 1, 2 * this.#cells.length));
      grown.set(this.#cells);
      this.#cells = grown;
    }
    this.#cells[index] = value;
  }
}
