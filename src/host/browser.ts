// The clock, the dice and the page of whatever runs the client: a browser, a worker or Node. Imports nothing of Node.
import type { Clock } from '../core/clock.ts';
import type { Listening } from '../core/event.ts';
import type { Random } from '../core/random.ts';

/** Timers keep a Node process alive: a client that waits for its next attempt is at work. */
export const clientClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  after: (delayMs, task) => {
    // Longer delays than 2^31 - 1 would run at once.
    const handle = setTimeout(task, Math.min(delayMs, 2_147_483_647));
    return { cancel: () => clearTimeout(handle) };
  },
  every: (intervalMs, task) => {
    const handle = setInterval(task, intervalMs);
    return { cancel: () => clearInterval(handle) };
  },
};

export const clientRandom: Random = { next: () => Math.random() };

/** 128 bits that no other client has, also where the page is not secure and `randomUUID` is missing. */
export const freshNonce = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** What the page tells of its network and its life. */
export interface PageEvents {
  offline(): void;
  /** The network is back, or the page is seen, thawed or shown again: a link may have died meanwhile. */
  awake(): void;
  /** The page is left and will not be back. */
  gone(): void;
}

interface Target {
  addEventListener?(type: string, listener: (event: { readonly persisted?: boolean }) => void): void;
  removeEventListener?(type: string, listener: (event: { readonly persisted?: boolean }) => void): void;
  readonly visibilityState?: string;
}

/** Listens to the window and the document, as far as there are any. */
export function watchPage(events: PageEvents): Listening {
  const page = globalThis as Target & { readonly document?: Target };
  const { document } = page;
  const stops: (() => void)[] = [];
  const on = (target: Target | undefined, type: string, listener: (event: { readonly persisted?: boolean }) => void): void => {
    target?.addEventListener?.(type, listener);
    stops.push(() => target?.removeEventListener?.(type, listener));
  };
  on(page, 'offline', () => events.offline());
  on(page, 'online', () => events.awake());
  on(page, 'pageshow', ({ persisted }) => persisted && events.awake());
  on(page, 'pagehide', ({ persisted }) => persisted || events.gone());
  on(document, 'resume', () => events.awake());
  on(document, 'visibilitychange', () => document?.visibilityState === 'visible' && events.awake());
  return { stop: () => stops.forEach((stop) => stop()) };
}
