// Says whether the joins and leaves that clients were told lead from each list of who is there to the next: none missing, none twice,
// none out of order, and a gap told as one. It shares no code with what it judges.
import { Stretch } from './presence-stretch.ts';
import type { EngineKeeps } from './judge.ts';

interface Place {
  readonly epoch: string;
  readonly offset: number;
}

/** Of one follower in their order, among each other in any. */
export type PresenceEvent =
  /** What it is told next has the offset after `position`; nobody was there before the first. */
  | { readonly kind: 'followed'; readonly follower: number; readonly position: Place }
  | { readonly kind: 'told'; readonly follower: number; readonly position: Place; readonly client: string; readonly isHere: boolean }
  | { readonly kind: 'gap'; readonly follower: number; readonly position: Place }
  /** It is told no more. */
  | { readonly kind: 'ended'; readonly follower: number }
  /** An answer to who is there. `after`: how many joins, leaves and gaps it had been told when it asked. */
  | { readonly kind: 'listed'; readonly follower: number; readonly names: readonly string[]; readonly after: number };

export interface PresenceVerdict {
  /** Joins and leaves, once per follower. */
  readonly told: number;
  readonly gaps: number;
  readonly lists: number;
  /** Lists that nobody can say anything of: since they were asked for a gap was told, or the follower ended. */
  readonly unknownLists: number;
  /** Faults: lists that the joins and leaves do not lead to; */
  readonly strayLists: number;
  /** joins of who was there, leaves of who was not; */
  readonly contradictions: number;
  /** at a place not beyond the one before, or where others were told something else; */
  readonly outOfOrder: number;
  /** jumps in the positions without a gap told. */
  readonly silentGaps: number;
  /** Null when there was none. */
  readonly firstFault: string | null;
}

/** Whether the verdict shows no fault. */
export function isPresenceClean({ strayLists, contradictions, outOfOrder, silentGaps }: PresenceVerdict): boolean {
  return strayLists + contradictions + outOfOrder + silentGaps === 0;
}

interface Follower {
  position: Place;
  /** Joins, leaves and gaps. */
  told: number;
  hasEnded: boolean;
  readonly stretches: Stretch[];
}

export class PresenceJudge {
  readonly #keeps: EngineKeeps;
  readonly #followers = new Map<number, Follower>();
  /** What was told at each place. */
  readonly #places = new Map<string, string>();
  readonly #counts = { told: 0, gaps: 0, lists: 0, unknownLists: 0, contradictions: 0, outOfOrder: 0, silentGaps: 0 };
  #firstFault: string | null = null;

  constructor(keeps: EngineKeeps = 'all') {
    this.#keeps = keeps;
  }

  hear(event: PresenceEvent): void {
    if (event.kind === 'followed') return this.#follow(event);
    const follower = this.#followers.get(event.follower);
    if (follower === undefined) throw new RangeError(`follower ${event.follower} must follow before it is ${event.kind}`);
    if (event.kind === 'told') this.#tell(follower, event);
    else if (event.kind === 'listed') this.#list(follower, event);
    else if (event.kind === 'ended') follower.hasEnded = true;
    else {
      this.#counts.gaps++;
      follower.told++;
      follower.position = event.position;
      follower.stretches.push(new Stretch(follower.told, 'unknown'));
    }
  }

  /** On all that was told so far; final when nothing is on its way any more. */
  verdict(): PresenceVerdict {
    const { unknownLists, ...counts } = this.#counts;
    let [stray, unknown] = [0, unknownLists];
    let firstFault = this.#firstFault;
    for (const [name, { stretches, hasEnded }] of this.#followers) {
      for (const [index, stretch] of stretches.entries()) {
        const found = stretch.strays({ isOver: hasEnded || index < stretches.length - 1 });
        stray += found.stray;
        unknown += found.unknown;
        // What is missing now may only be on its way.
        if (found.first !== null) firstFault ??= `presence follower ${name}: ${found.first}`;
      }
    }
    return { ...counts, unknownLists: unknown, strayLists: stray, firstFault };
  }

  #follow({ follower, position }: PresenceEvent & { readonly kind: 'followed' }): void {
    if (this.#followers.has(follower)) throw new RangeError(`follower ${follower} must follow once`);
    this.#followers.set(follower, { position, told: 0, hasEnded: false, stretches: [new Stretch(0, position.offset === 0 ? 'nobody' : 'unknown')] });
  }

  #tell(follower: Follower, event: PresenceEvent & { readonly kind: 'told' }): void {
    const { position, client, isHere } = event;
    const last = follower.position;
    this.#counts.told++;
    follower.told++;
    if (position.offset <= last.offset) this.#blame('outOfOrder', event, `after ${last.offset} of ${last.epoch}`);
    else if (position.offset > last.offset + 1) this.#blame('silentGaps', event, `after ${last.offset} of ${last.epoch}`);
    else if (!this.#agrees(event)) this.#blame('outOfOrder', event, 'where others were told something else');
    follower.position = position;
    // Who was there when the engine fell back is not known, and what was asked for may be of a moment that it forgot.
    if (position.epoch !== last.epoch && this.#keeps === 'not all') follower.stretches.push(new Stretch(follower.told, 'unknown'));
    else if (follower.stretches.at(-1)?.change(client, isHere) === false) this.#blame('contradictions', event, 'as was so before');
  }

  #list(follower: Follower, { names, after }: PresenceEvent & { readonly kind: 'listed' }): void {
    this.#counts.lists++;
    if (follower.stretches.at(-1)?.list(names, after) === false) this.#counts.unknownLists++;
  }

  #agrees({ position: { epoch, offset }, client, isHere }: PresenceEvent & { readonly kind: 'told' }): boolean {
    const [place, what] = [`${epoch}/${offset}`, `${isHere ? '+' : '-'}${client}`];
    const known = this.#places.get(place);
    if (known === undefined) this.#places.set(place, what);
    return known === undefined || known === what;
  }

  #blame(fault: 'contradictions' | 'outOfOrder' | 'silentGaps', event: PresenceEvent & { readonly kind: 'told' }, what: string): void {
    const { follower, position, client, isHere } = event;
    this.#counts[fault]++;
    this.#firstFault ??= `presence follower ${follower}: ${client} ${isHere ? 'joined' : 'left'} at ${position.epoch}/${position.offset}, ${what}`;
  }
}
