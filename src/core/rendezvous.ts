// Consistent hashing by rendezvous, with bounded load: each key likes every candidate more or less, the same for ever, and goes to
// the one that it likes most of those that are not too full. Adding one of n+1 moves 1/(n+1) of the keys, and no table is kept.
import type { Candidate, Field } from './balancer.ts';

/** A number in [0, 2^32) that is the same everywhere for the same text. FNV-1a over UTF-16 units, then mixed. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mixed(hash);
}

/**
 * Who takes `key` (a `hashOf`). Nobody gets above `boundedLoad` times the mean of what is carried, rounded up; null only where
 * there is no candidate. By weights: the mean is of the weight.
 */
export function rendezvous<C extends Candidate>(field: Field<C>, key: number, boundedLoad: number): C | null {
  const { list, count, uniform } = field;
  const perWeight = boundPerWeight(field, boundedLoad);
  let best: C | null = null;
  let most = -Infinity;
  for (let i = 0; i < count; i++) {
    const candidate = list[i];
    const hash = mixed(Math.imul(key, 0x9e3779b1) ^ candidate.seed);
    // With equal weights the logarithm would not change who comes first.
    const liking = uniform ? hash : -candidate.weight / Math.log((hash + 0.5) / 4294967296);
    if (liking > most && hasRoom(candidate, perWeight)) {
      best = candidate;
      most = liking;
    }
  }
  return best;
}

/** What a candidate may carry per weight, once one more is carried. */
export function boundPerWeight<C extends Candidate>({ list, count }: Field<C>, boundedLoad: number): number {
  let carried = 1;
  let weights = 0;
  for (let i = 0; i < count; i++) {
    carried += list[i].active;
    weights += list[i].weight;
  }
  return (Math.max(1, boundedLoad) * carried) / weights;
}

/** Whether one more stays within the bound. A hair of slack for rounding: somebody always has room. */
export const hasRoom = ({ active, weight }: Candidate, perWeight: number): boolean => active < perWeight * weight + 1e-9;

/** The last step of MurmurHash3: every bit of the input changes half of the bits. */
function mixed(value: number): number {
  let z = value;
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
  return (z ^ (z >>> 16)) >>> 0;
}
