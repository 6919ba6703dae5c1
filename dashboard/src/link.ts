// The line to the demo: server-sent events, a watch over silence, and a new attempt every second while the line is broken.
import type { History, Snapshot } from './contract.ts';

export type LinkState = 'connecting' | 'live' | 'lost';

export interface Listener {
  readonly history: (history: History) => void;
  readonly snapshot: (snapshot: Snapshot) => void;
  readonly state: (state: LinkState) => void;
}

/** The demo speaks twice a second; this long a silence means that the line is dead although nobody closed it. */
const SILENCE_MS = 4_000;
const RETRY_MS = 1_000;

/**
 * Follows the demo for as long as the page lives. EventSource's own reconnecting gives up for good on an HTTP error and
 * never notices silence; so every attempt is a new EventSource, and the demo begins each with the history.
 */
export function follow(url: string, listener: Listener): void {
  const source = new EventSource(url);
  let over = false;
  let heardAt = performance.now();
  const lose = (): void => {
    if (over) return;
    over = true;
    clearInterval(watch);
    source.close();
    listener.state('lost');
    setTimeout(() => follow(url, listener), RETRY_MS);
  };
  const watch = setInterval(() => {
    if (performance.now() - heardAt > SILENCE_MS) lose();
  }, 1_000);
  const heard = (tell: () => void): void => {
    if (over) return;
    heardAt = performance.now();
    tell();
    listener.state('live');
  };
  source.addEventListener('history', (event) => heard(() => listener.history(JSON.parse(event.data) as History)));
  source.addEventListener('snapshot', (event) => heard(() => listener.snapshot(JSON.parse(event.data) as Snapshot)));
  source.addEventListener('error', lose);
}
