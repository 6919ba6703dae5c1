/**
 * Opt-in measurements of a page and its link, sent over the link: when it painted, what blocked it, what failed, how far the
 * node is, how often the link had to be made anew.
 *
 * @module
 */
import type { Clock } from '../core/clock.ts';
import type { Listening } from '../core/event.ts';
import { clientInterval } from '../host/browser.ts';
import { VITALS_METHOD, type Vitals } from '../protocol/vitals.ts';
import type { Client } from './client.ts';

export { VITALS_METHOD, type Vitals } from '../protocol/vitals.ts';

export interface VitalsOptions {
  /** How often to report, ms. Default 10,000. */
  readonly everyMs?: number | undefined;
  /** Asked before each report: whether the user agreed. Default: yes. */
  readonly allowed?: (() => boolean) | undefined;
  readonly clock?: Pick<Clock, 'every'> | undefined;
}

const ERRORS = 10;
const ERROR_CHARS = 300;

interface Tally {
  count: number;
  totalMs: number;
  longestMs: number;
}

interface Page {
  addEventListener?(type: string, listener: (event: PageError) => void): void;
  removeEventListener?(type: string, listener: (event: PageError) => void): void;
  readonly PerformanceObserver?: new (seen: (list: { getEntries(): readonly PageEntry[] }) => void) => {
    observe(options: { readonly type: string; readonly buffered: boolean }): void;
    disconnect(): void;
  };
}

interface PageError {
  readonly message?: string;
  readonly reason?: unknown;
}

interface PageEntry {
  readonly name: string;
  readonly startTime: number;
  readonly duration: number;
}

type Collected = { -readonly [K in keyof Vitals]: Vitals[K] } & { paint: Record<string, number>; longTasks: Tally; errors: string[]; roundTrip: Tally };

const none = (): Collected => ({
  paint: {},
  longTasks: { count: 0, totalMs: 0, longestMs: 0 },
  errors: [],
  errorCount: 0,
  roundTrip: { count: 0, totalMs: 0, longestMs: 0 },
  reconnects: 0,
});

function count(tally: Tally, ms: number): void {
  tally.count++;
  tally.totalMs += ms;
  tally.longestMs = Math.max(tally.longestMs, ms);
}

/**
 * Observes and reports until stopped. What cannot be observed here is left out; when nothing happened, nothing is sent. A report
 * that does not arrive is dropped: measurements must never be in the way of the application's own messages.
 */
export function reportVitals(client: Client, { everyMs = 10_000, allowed = () => true, clock = clientInterval }: VitalsOptions = {}): Listening {
  let seen = none();
  let isEmpty = true;
  let before = client.state.kind;
  let wasOpen = before === 'open';
  const stops: (() => void)[] = [];
  const note = (what: (seen: Collected) => void): void => {
    isEmpty = false;
    what(seen);
  };
  const page = globalThis as Page;
  const failed = (event: PageError): void =>
    note((it) => {
      if (++it.errorCount <= ERRORS) it.errors.push(String(event.message ?? event.reason).slice(0, ERROR_CHARS));
    });
  for (const type of ['error', 'unhandledrejection']) {
    page.addEventListener?.(type, failed);
    stops.push(() => page.removeEventListener?.(type, failed));
  }
  const observe = (type: string, entry: (it: Collected, entry: PageEntry) => void): void => {
    if (page.PerformanceObserver === undefined) return;
    const observer = new page.PerformanceObserver((list) => list.getEntries().forEach((one) => note((it) => entry(it, one))));
    // A type that is not known here is ignored.
    observer.observe({ type, buffered: true });
    stops.push(() => observer.disconnect());
  };
  observe('paint', (it, { name, startTime }) => (it.paint[name] = startTime));
  observe('longtask', (it, { duration }) => count(it.longTasks, duration));
  const listenings = [
    client.onRoundTrip((ms) => note((it) => count(it.roundTrip, ms))),
    client.onState(({ kind }) => {
      // From `moving` it is the end of a move.
      if (kind === 'open' && before === 'connecting' && wasOpen) note((it) => it.reconnects++);
      wasOpen ||= kind === 'open';
      before = kind;
    }),
  ];
  const timer = clock.every(everyMs, () => {
    if (isEmpty || client.state.kind !== 'open' || !allowed()) return;
    const report = seen;
    seen = none();
    isEmpty = true;
    client.request(VITALS_METHOD, report, { timeoutMs: everyMs }).catch(() => {});
  });
  return {
    stop: () => {
      timer.cancel();
      for (const listening of listenings) listening.stop();
      for (const stop of stops) stop();
    },
  };
}
