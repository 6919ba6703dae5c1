// When the client has a link, opens one, changes to another, waits or stops: one pure function moves the state and says what
// to do. Everything that travels on the links is none of its business.
import { backoffMs, type BackoffPolicy } from '../core/backoff.ts';
import type { Random } from '../core/random.ts';
import { adviceFor, CloseCode } from '../protocol/close-codes.ts';
import type { LinkEnd } from './link.ts';

/** Links are named by their number, which grows with every hello. Times are those of the client's clock, ms. */
export type ClientState =
  /** Made just now: nothing was tried yet. */
  | { readonly kind: 'idle' }
  /** A link is being opened, or (`since` is set) the server behind an open one changed. */
  | { readonly kind: 'connecting'; readonly link: number; readonly since: number | null }
  /** Welcomed at `since`. */
  | { readonly kind: 'open'; readonly link: number; readonly since: number }
  /** Two links: `link` is sent on. `opening`: `other` is the new one, not welcomed yet. `settling`: `other` is the old one, still delivering. */
  | { readonly kind: 'moving'; readonly link: number; readonly since: number; readonly other: number; readonly stage: 'opening' | 'settling' }
  /** The next attempt is at `until`. `asked`: the server asked for this wait, so that nothing shortens it. */
  | { readonly kind: 'waiting'; readonly until: number; readonly asked: boolean; readonly reason: string }
  /** For good. `code` is the close code; 0 for giving up, 1000 for `close()`. */
  | { readonly kind: 'closed'; readonly code: number; readonly reason: string };

export interface Lifecycle {
  readonly state: ClientState;
  /** The number of the newest link. */
  readonly newest: number;
  /** Failures in a row. */
  readonly failures: number;
  /** As the node said last. */
  readonly spreadMs: number;
  /** Since when no link is welcomed. */
  readonly downSince: number;
  readonly online: boolean;
}

export const born = (now: number): Lifecycle => ({ state: { kind: 'idle' }, newest: 0, failures: 0, spreadMs: 0, downSince: now, online: true });

export type LifecycleEvent =
  /** The wait is over, the first one (which is none) too. Comes in `idle` and `waiting` only. */
  | { readonly type: 'due' }
  | { readonly type: 'welcome'; readonly link: number; readonly spreadMs: number }
  | { readonly type: 'spread'; readonly ms: number }
  /** Every topic that was followed on the old link has been answered on this one. */
  | { readonly type: 'settled'; readonly link: number }
  /** `code` 0: given up by the client. */
  | { readonly type: 'ended'; readonly link: number; readonly end: LinkEnd }
  | { readonly type: 'move'; readonly link: number; readonly url: string; readonly ticket: string }
  | { readonly type: 'resync'; readonly link: number; readonly number: number }
  | { readonly type: 'offline' }
  /** The network is back, or the page is seen again. */
  | { readonly type: 'awake' }
  | { readonly type: 'close' };

/** Where to open a link; without a url the endpoints decide. */
export interface Target {
  readonly url?: string | undefined;
  readonly ticket?: string | undefined;
}

export type LifecycleEffect =
  | ({ readonly type: 'dial'; readonly link: number } & Target)
  | { readonly type: 'drop'; readonly link: number; readonly code: number }
  /** Say hello again on link `link`, which is called `renamed` from now on. */
  | { readonly type: 'hello'; readonly link: number; readonly renamed: number; readonly resync: number }
  | { readonly type: 'wait'; readonly ms: number; readonly slot: string | undefined }
  | { readonly type: 'probe'; readonly link: number };

export interface Rules {
  readonly backoff: BackoffPolicy;
  readonly giveUpAfterMs: number;
}

export interface Surroundings extends Rules {
  readonly now: number;
  readonly random: Random;
}

type Step = readonly [Lifecycle, readonly LifecycleEffect[]];

/** A link that lived as long as this was a success. */
const PROVEN_MS = 5_000;
/** Gateways that send a client to each other are left alone after so many turns: the attempt ends by its own time. */
const MOST_SHOWN = 5;
/** No server sends anybody away for longer. */
const LONGEST_WAIT_MS = 600_000;

export function step(life: Lifecycle, event: LifecycleEvent, around: Surroundings): Step {
  const { state } = life;
  if (state.kind === 'closed') return [life, []];
  switch (event.type) {
    case 'due':
      return dial(life);
    case 'awake':
      return wake({ ...life, online: true });
    case 'offline':
      // An open link may be dead or not: it is asked. A wait goes on, and the next attempt is not counted.
      return [{ ...life, online: false }, probes(state)];
    case 'spread':
      return [{ ...life, spreadMs: event.ms }, []];
    // Whoever is closed closes all links.
    case 'close':
      return [{ ...life, state: { kind: 'closed', code: 1000, reason: 'by the application' } }, []];
    case 'welcome':
      return welcomed({ ...life, spreadMs: event.spreadMs }, event.link, around.now);
    case 'ended':
      return ended(life, event.link, event.end, around);
    case 'settled':
      if (state.kind !== 'moving' || state.stage !== 'settling' || state.link !== event.link) return [life, []];
      return [{ ...life, state: { kind: 'open', link: state.link, since: state.since } }, [drop(state.other, 1000)]];
    case 'move':
      return move(life, event.link, event);
    case 'resync': {
      if (!('link' in state) || state.link !== event.link) return [life, []];
      const renamed = life.newest + 1;
      const effects = linksOf(state)
        .slice(1)
        .map((link) => drop(link, CloseCode.timeout));
      const hello = { type: 'hello', link: event.link, renamed, resync: event.number } as const;
      return [{ ...life, newest: renamed, state: { kind: 'connecting', link: renamed, since: state.since } }, [...effects, hello]];
    }
  }
}

const linksOf = (state: ClientState): number[] => ('link' in state ? ('other' in state ? [state.link, state.other] : [state.link]) : []);
/** 1000 ends the session where the link still has it: only a link that is done says so. */
const drop = (link: number, code: number): LifecycleEffect => ({ type: 'drop', link, code });
const probes = (state: ClientState): LifecycleEffect[] => (state.kind === 'open' ? [{ type: 'probe', link: state.link }] : []);

function dial(life: Lifecycle, target?: Target): Step {
  const link = life.newest + 1;
  return [{ ...life, newest: link, state: { kind: 'connecting', link, since: null } }, [{ ...target, type: 'dial', link }]];
}

function wake(life: Lifecycle): Step {
  const { state } = life;
  return state.kind === 'waiting' && !state.asked ? dial(life) : [life, probes(state)];
}

function welcomed(life: Lifecycle, link: number, now: number): Step {
  const { state } = life;
  if (state.kind === 'connecting' && state.link === link) return [{ ...life, state: { kind: 'open', link, since: state.since ?? now } }, []];
  if (state.kind !== 'moving' || state.stage !== 'opening' || state.other !== link) return [life, []];
  return [{ ...life, state: { kind: 'moving', stage: 'settling', link, since: now, other: state.link } }, []];
}

function move(life: Lifecycle, from: number, target: Target): Step {
  const { state } = life;
  const settling = state.kind === 'moving' && state.stage === 'settling';
  const shown = state.kind === 'connecting' && life.failures < MOST_SHOWN;
  if ((state.kind !== 'open' && !settling && !shown) || state.link !== from) return [life, []];
  const [next, dialled] = dial(life, target);
  if (shown) return [{ ...next, failures: life.failures + 1 }, [drop(from, CloseCode.timeout), ...dialled]];
  const moving = { kind: 'moving', stage: 'opening', link: from, since: state.since as number, other: next.newest } as const;
  return [{ ...next, state: moving }, settling ? [drop(state.other, CloseCode.timeout), ...dialled] : dialled];
}

function ended(life: Lifecycle, link: number, end: LinkEnd, around: Surroundings): Step {
  const { state } = life;
  if (!linksOf(state).includes(link)) return [life, []];
  if (state.kind === 'moving') {
    // Whatever became of the other link: the one that is sent on stays.
    if (link === state.other) return [{ ...life, state: { kind: 'open', link: state.link, since: state.since } }, []];
    // The new link is on its way already.
    if (state.stage === 'opening') return [{ ...life, downSince: around.now, state: { kind: 'connecting', link: state.other, since: null } }, []];
    const [next, effects] = rest(life, state, end, around);
    return [next, [drop(state.other, CloseCode.timeout), ...effects]];
  }
  return rest(life, state as Ending, end, around);
}

type Ending = Extract<ClientState, { readonly link: number }>;

/** What follows when there is no link any more. */
function rest(life: Lifecycle, state: Ending, end: LinkEnd, around: Surroundings): Step {
  const { now, random } = around;
  const { code, reason } = end;
  // A newer link of our own, which we gave up, has the session: nobody else does.
  const ours = code === CloseCode.replaced && state.link < life.newest;
  if (!ours && adviceFor(code) === 'stop') return [{ ...life, state: { kind: 'closed', code, reason } }, []];
  const wasOpen = state.since !== null;
  const downSince = wasOpen ? now : life.downSince;
  const failures = wasOpen && now - state.since >= PROVEN_MS ? 0 : life.failures;
  const invited = code === CloseCode.tryLater ? invitation(reason) : null;
  const broken = code === 1006 && wasOpen && life.online;
  let ms = invited?.retryMs ?? backoffMs(around.backoff, failures, random);
  if (broken) ms = Math.max(ms, random.next() * life.spreadMs);
  // Attempts that cannot succeed are few, but made: what the system says of its network is not always right.
  if (!life.online) ms = Math.max(ms, around.backoff.capMs);
  const next = { ...life, downSince, failures: failures + Number(life.online) };
  if (now + ms - downSince > around.giveUpAfterMs) {
    return [{ ...next, state: { kind: 'closed', code: 0, reason: `no link in ${around.giveUpAfterMs} ms: ${code} ${reason}` } }, []];
  }
  const asked = invited !== null || (broken && life.spreadMs > 0);
  return [{ ...next, state: { kind: 'waiting', until: now + ms, asked, reason: `${code} ${reason}` } }, [{ type: 'wait', ms, slot: invited?.slot }]];
}

/** The reason of a 1013: `{"retryMs": n, "slot": "..."}`; null when it says nothing. */
function invitation(reason: string): { retryMs: number; slot: string | undefined } | null {
  try {
    // Whatever the slot is, it goes into the address as text.
    const { retryMs, slot } = JSON.parse(reason) as { retryMs: number; slot?: string };
    return retryMs >= 0 ? { retryMs: Math.min(retryMs, LONGEST_WAIT_MS), slot } : null;
  } catch {
    return null;
  }
}
