// What the buttons do: requests to the demo, and short notices when one is refused.
import { effect, signal } from '@preact/signals';
import type { Verb } from './contract.ts';
import { snapshot } from './state.ts';

export interface Notice {
  readonly id: number;
  readonly text: string;
}

const NOTICE_MS = 8_000;
const MOST_NOTICES = 3;
const LONGEST_REASON = 200;
/** How long the switch shows what was asked for before it believes the demo again. */
const BELIEF_MS = 3_000;

export const notices = signal<readonly Notice[]>([]);
/** What the switch was set to and the demo has not confirmed yet. */
export const wanted = signal<boolean | null>(null);
let lastNotice = 0;

effect(() => {
  if (snapshot.value !== null && (snapshot.value.rebalancing === 'on') === wanted.value) wanted.value = null;
});

export async function command(server: string, verb: Verb): Promise<void> {
  const refused = await post(`/api/servers/${encodeURIComponent(server)}/${verb}`, undefined);
  if (refused !== null) notify(`${server} did not ${verb}: ${refused}`);
}

export async function setRebalancing(on: boolean): Promise<void> {
  wanted.value = on;
  const refused = await post('/api/rebalancing', { on });
  if (refused !== null) {
    wanted.value = null;
    notify(`Rebalancing was not switched ${on ? 'on' : 'off'}: ${refused}`);
    return;
  }
  setTimeout(() => {
    if (wanted.value === on) wanted.value = null;
  }, BELIEF_MS);
}

export function dismiss(id: number): void {
  notices.value = notices.value.filter((notice) => notice.id !== id);
}

function notify(text: string): void {
  const id = ++lastNotice;
  notices.value = [...notices.value, { id, text }].slice(-MOST_NOTICES);
  setTimeout(() => dismiss(id), NOTICE_MS);
}

/** Null when it was done, else why not. */
async function post(path: string, body: object | undefined): Promise<string | null> {
  try {
    // The type is sent without a body too: no foreign page can send it unasked, so the demo may insist on it.
    const answer = await fetch(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.ok) return null;
    const why = (await answer.text()).trim();
    // The demo says why in a line of plain text; anything longer was not written for this place.
    if (why !== '' && why.length <= LONGEST_REASON) return why;
    if (answer.status === 404) return 'the demo does not know it';
    if (answer.status === 409) return 'its present state does not allow it';
    return `the demo answered ${answer.status}`;
  } catch {
    return 'the demo did not answer';
  }
}
