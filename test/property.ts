// Properties over random inputs. A failure prints its seed and its smallest example; `EVENKEEL_SEED=<seed>` replays it.
import * as fc from 'fast-check';

export function always<T>(inputs: fc.Arbitrary<T>, holds: (input: T) => void, numRuns = 100): void {
  const seed = process.env.EVENKEEL_SEED;
  fc.assert(fc.property(inputs, holds), { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) });
}

export async function alwaysAsync<T>(inputs: fc.Arbitrary<T>, holds: (input: T) => Promise<void>, numRuns = 100): Promise<void> {
  const seed = process.env.EVENKEEL_SEED;
  await fc.assert(fc.asyncProperty(inputs, holds), { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) });
}
