// The clock, the dice and the page of whatever runs the client: a browser, a worker or Node. Imports nothing of Node.
import type { Clock } from '../core/clock.ts';
import type { Listening } from '../core/event.ts';
import type { Random } from '../core/random.ts';

/** What a client needs of a clock. */
export type ClientClock = Pick<Clock, 'now' | 'after'>;

/** Timers keep a Node process alive: a client that waits for its next attempt is at work. */
export const clientClock: ClientClock = {
  now: () => performance.now(),
  after: (delayMs, task) => {
    // Longer delays than 2^31 - 1 would run at once.
    const handle = setTimeout(task, Math.min(delayMs, 2e9));
    return { cancel: () => clearTimeout(handle) };
  },
};

/** Apart from the clock: only what opts in to measurements downloads it. */
export const clientInterval: Pick<Clock, 'every'> = {
  every: (intervalMs, task) => {
    const handle = setInterval(task, intervalMs);
    return { cancel: () => clearInterval(handle) };
  },
};

export const clientRandom: Random = { next: Math.random };

/** 128 bits that no other client has, also where the page is not secure and `randomUUID` is missing. */
export const freshNonce = (): string => crypto.getRandomValues(new Uint32Array(4)).join();

/**
 * What the page tells of its network and its life. `awake`: the network is back, or the page is seen, thawed or shown again: a
 * link may have died meanwhile. `close`: the page is left and will not be back.
 */
export type PageEvent = 'offline' | 'awake' | 'close';

type Listener = (event: { readonly persisted?: boolean }) => void;

interface Target {
  addEventListener?(type: string, listener: Listener, options: { readonly signal: AbortSignal }): void;
  readonly visibilityState?: string;
}

/** Listens to the window and the document, as far as there are any. */
export function watchPage(tell: (event: PageEvent) => void): Listening {
  const page = globalThis as Target & { readonly document?: Target };
  const { document } = page;
  const stopped = new AbortController();
  const on = (target: Target | undefined, type: string, listener: Listener): void => target?.addEventListener?.(type, listener, stopped);
  on(page, 'offline', () => tell('offline'));
  on(page, 'online', () => tell('awake'));
  on(page, 'pageshow', ({ persisted }) => persisted && tell('awake'));
  on(page, 'pagehide', ({ persisted }) => persisted || tell('close'));
  on(document, 'resume', () => tell('awake'));
  on(document, 'visibilitychange', () => document?.visibilityState === 'visible' && tell('awake'));
  return { stop: () => stopped.abort() };
}
