// Where a body ends: after so many bytes, after its last chunk, or with the connection. Bytes are counted, never copied.
import { Chunks } from './chunks.ts';

export class Framing {
  /** Of all that has no body. */
  static readonly none: Framing = new Framing(0, false);

  /** Still to come. Infinity: chunks, or the end of the connection, say where it ends. */
  left: number;
  /** Set where the body comes in chunks. */
  chunks: Chunks | null;

  constructor(left: number, isChunked: boolean) {
    this.left = isChunked ? Infinity : left;
    this.chunks = isChunked ? new Chunks() : null;
  }

  /** The next body of the same connection. */
  set(left: number, isChunked: boolean): void {
    this.left = isChunked ? Infinity : left;
    this.chunks = isChunked ? new Chunks() : null;
  }

  get isDone(): boolean {
    return this.left === 0;
  }

  get isBad(): boolean {
    return this.chunks !== null && this.chunks.isBad;
  }

  /** Only the end of the connection ends it. */
  get isOpen(): boolean {
    return this.left === Infinity && this.chunks === null;
  }

  /** Where the body's part of `bytes`, from `from` on, ends. `into`: gets what is payload where there are chunks. */
  cut(bytes: Buffer, from: number, into: Buffer[] | null): number {
    const { chunks } = this;
    if (chunks !== null) {
      const end = chunks.advance(bytes, from, into);
      if (chunks.isDone) this.left = 0;
      return end;
    }
    const end = Math.min(bytes.length, from + this.left);
    this.left -= end - from;
    return end;
  }
}
