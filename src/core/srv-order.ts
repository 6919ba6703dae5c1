// In which order the targets of SRV records are tried: the lowest priority first, those of one priority by a lot that their weights
// load (RFC 2782).
import { below, type Random } from './random.ts';

export interface Weighed {
  readonly priority: number;
  readonly weight: number;
}

/** All of them, in the order of RFC 2782, page 3: until none is left, one is drawn from those of the lowest priority. */
export function inSrvOrder<T extends Weighed>(targets: readonly T[], random: Random): T[] {
  const priorities = [...new Set(targets.map(({ priority }) => priority))].toSorted((a, b) => a - b);
  return priorities.flatMap((wanted) =>
    drawAll(
      targets.filter(({ priority }) => priority === wanted),
      random,
    ),
  );
}

/** Those of weight 0 stand first, so that only a draw of 0 takes one while others are left: rarely, but not never. */
function drawAll<T extends Weighed>(targets: readonly T[], random: Random): T[] {
  const left = targets.toSorted((a, b) => Number(a.weight > 0) - Number(b.weight > 0));
  const drawn: T[] = [];
  while (left.length > 0) drawn.push(...left.splice(drawOne(left, random), 1));
  return drawn;
}

function drawOne(left: readonly Weighed[], random: Random): number {
  let rest = below(random, left.reduce((sum, { weight }) => sum + weight, 0) + 1);
  const index = left.findIndex(({ weight }) => (rest -= weight) <= 0);
  // The order of these is nobody's wish: the first of them would get all clients where weights are not used.
  return left[index].weight === 0 ? below(random, left.filter(({ weight }) => weight === 0).length) : index;
}
