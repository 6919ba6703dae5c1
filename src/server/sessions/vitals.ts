// What pages report of themselves (`evenkeel/client/vitals`): checked, because pages may say anything, and added up for metrics.
import { z } from 'zod';
import type { Vitals } from '../../protocol/vitals.ts';
import type { SessionTally } from '../../node/session-tally.ts';
import { Refusal, type Handler } from './requests.ts';

const count = z.number().int().min(0).max(1e6);
const ms = z.number().min(0).max(1e9);
const tally = z.object({ count, totalMs: ms, longestMs: ms });
const schema: z.ZodType<Vitals> = z.object({
  paint: z.record(z.string().max(64), ms),
  longTasks: tally,
  errors: z.array(z.string().max(300)).max(10),
  errorCount: count,
  roundTrip: tally,
  reconnects: count,
});

const PAINTS = { 'first-paint': 'firstPaint', 'first-contentful-paint': 'firstContentfulPaint' } as const;

/** `also` gets each report that is one. */
export function vitalsHandler(into: SessionTally, also: () => Handler | null): Handler {
  return (value, asker) => {
    const read = schema.safeParse(value);
    if (!read.success) throw new Refusal(400, 'not a report of evenkeel/client/vitals');
    const { paint, longTasks, errorCount, roundTrip, reconnects } = read.data;
    const { pages } = into;
    pages.reports++;
    pages.errors += errorCount;
    pages.reconnects += reconnects;
    pages.longTasks += longTasks.count;
    pages.longTaskMs += longTasks.totalMs;
    pages.roundTrips += roundTrip.count;
    pages.roundTripMs += roundTrip.totalMs;
    for (const [name, field] of Object.entries(PAINTS)) {
      if (paint[name] === undefined) continue;
      pages[`${field}s`]++;
      pages[`${field}Ms`] += paint[name];
    }
    return also()?.(value, asker);
  };
}
