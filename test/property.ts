// Properties over random inputs. A failure prints its seed and its smallest example; `EVENKEEL_SEED=<seed>` replays it.
import * as fc from 'fast-check';

export function always<T>(inputs: fc.Arbitrary<T>, holds: (input: T) => void, numRuns = 100): void {
  fc.assert(fc.property(inputs, holds), runs(numRuns));
}

/** The same where it takes waiting to find out. */
export async function alwaysAsync<T>(inputs: fc.Arbitrary<T>, holds: (input: T) => Promise<void>, numRuns = 100): Promise<void> {
  await fc.assert(fc.asyncProperty(inputs, holds), runs(numRuns));
}

function runs(numRuns: number): { readonly numRuns: number; readonly seed?: number } {
  const seed = process.env.EVENKEEL_SEED;
  return { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) };
}
