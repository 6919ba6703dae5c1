// A scale for imbalance that is stretched near 1, so that "even" can be told from "nearly even" while 5 still fits.
import type uPlot from 'uplot';
import { EVEN_THRESHOLD } from '../contract.ts';

/** Twice the margin of "even": differences smaller than this are drawn to scale, larger ones ever more tightly. */
const KNEE = 2 * (EVEN_THRESHOLD - 1);

/** In the order of their worth: one that would stand too close to an earlier one is left out. */
const TICKS = [EVEN_THRESHOLD, 2, 5, 20, 1.2, 1.5, 10, 3, 50, 100];
const LEAST_GAP_PX = 16;

const place = (value: number): number => Math.asinh((value - 1) / KNEE);

export const evenScale: uPlot.Scale = {
  // oxlint-disable-next-line typescript/no-unsafe-enum-assignment -- uPlot only declares the enum: there is no object to take it from.
  distr: 100,
  fwd: place,
  bwd: (at) => 1 + Math.sinh(at) * KNEE,
};

/** The ticks that fit a plot of this height, lowest first. */
export function evenTicks(max: number, heightPx: number): number[] {
  const gap = (LEAST_GAP_PX / Math.max(1, heightPx)) * place(max);
  const kept: number[] = [];
  for (const tick of TICKS) {
    if (tick <= max && kept.every((other) => Math.abs(place(other) - place(tick)) >= gap)) kept.push(tick);
  }
  return kept.toSorted((a, b) => a - b);
}
