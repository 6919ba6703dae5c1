// What things that a test makes hold on to, in bytes of the heap.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes for each of `count` that `make` returns, everything that it alone refers to included. */
export function bytesOfEach(count: number, make: (i: number) => unknown): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const kept: unknown[] = Array.from({ length: count }, () => null);
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < count; i++) kept[i] = make(i);
  collect();
  const bytes = (process.memoryUsage().heapUsed - before) / count;
  // Until here nothing of it is garbage.
  return kept.length === count ? bytes : Number.NaN;
}
