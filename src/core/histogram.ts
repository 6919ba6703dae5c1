// A histogram of times with buckets that grow by 2.2 %: constant work and a few kilobytes, however many values, at the
// price of knowing a quantile only that well. Histograms of several processes can be added up.

/** Values below this are not told apart, ms. */
const LEAST_MS = 0.01;
/** Buckets per factor of two. */
const PER_OCTAVE = 32;
/** 0.01 ms times 2^24 is nearly three minutes: longer than any request is waited for. */
const BUCKETS = 24 * PER_OCTAVE;

/** A histogram as JSON. Buckets after the last one that holds something are left out. */
export interface HistogramState {
  readonly counts: readonly number[];
  readonly max: number;
}

export class Histogram {
  readonly #counts: Float64Array = new Float64Array(BUCKETS);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** The largest value, exactly. */
  get max(): number {
    return this.#max;
  }

  record(valueMs: number): void {
    this.#counts[bucketOf(valueMs)]++;
    this.#count++;
    if (valueMs > this.#max) this.#max = valueMs;
  }

  add(other: HistogramState): void {
    other.counts.forEach((count, bucket) => {
      if (bucket >= BUCKETS) return;
      this.#counts[bucket] += count;
      this.#count += count;
    });
    this.#max = Math.max(this.#max, other.max);
  }

  /** The value that the fraction `part` of all values does not exceed; null when nothing was recorded. */
  quantile(part: number): number | null {
    if (this.#count === 0) return null;
    const wanted = Math.max(1, Math.ceil(part * this.#count));
    let below = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      below += this.#counts[bucket];
      if (below >= wanted) return Math.min(this.#max, upperEdge(bucket));
    }
    return this.#max;
  }

  get state(): HistogramState {
    let used = BUCKETS;
    while (used > 0 && this.#counts[used - 1] === 0) used--;
    return { counts: [...this.#counts.subarray(0, used)], max: this.#max };
  }
}

function bucketOf(valueMs: number): number {
  if (!(valueMs > LEAST_MS)) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(valueMs / LEAST_MS) * PER_OCTAVE));
}

const upperEdge = (bucket: number): number => LEAST_MS * 2 ** ((bucket + 1) / PER_OCTAVE);
