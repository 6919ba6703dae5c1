// Decides which connections to move. Handles ("slots") stand in doubly linked lists over typed arrays, ordered by last
// activity, so that every touch and every pick is constant work, also with 200,000 connections, and memory stays small.
// Rules: never one that is busy, pinned or resting; the longest idle first, and among those the oldest; by weight, few heavy
// ones, and none heavier than what is asked for.

/** The lists a slot can be in. Lists from IDLE on hold what may be told at any time, by weight class. */
export const List = {
  none: 0,
  /** Something is in progress, for less than the long-response limit. */
  busy: 1,
  /** A response or stream is open for longer: cannot be moved now. */
  long: 2,
  /** Arrived by the present plan or was moved lately. */
  resting: 3,
  pinned: 4,
  /** HTTP/1.1, spoke lately: can be told at its next request. */
  asking: 5,
  /** HTTP/1.1, silent for long: cannot be told. */
  silent: 6,
  idle: 7,
} as const;

const CLASSES = 16;
const LISTS = List.idle + CLASSES;
/** Weight 1 falls in this class; each class is a factor of two wide. */
const UNIT_CLASS = 4;
/** After so many that must stay for now, a pick gives up until the next: its work stays bounded. */
const MOST_MISSES = 64;
const NIL = -1;

/** The storage of the lists: shared by several `Choice` in the simulator, one each in a server. */
export class Links {
  next: Int32Array;
  prev: Int32Array;
  list: Uint8Array;
  /** What is known of it: `Flag`. */
  flags: Uint8Array;
  weight: Float32Array;
  /** Last activity, ms on the owner's clock. */
  activeAt: Float64Array;
  /** Rests until, ms; 0 when it does not. */
  restUntil: Float64Array;
  /** Where it stands among those that stirred. */
  place: Int32Array;

  constructor(capacity: number) {
    this.next = new Int32Array(capacity).fill(NIL);
    this.prev = new Int32Array(capacity).fill(NIL);
    this.list = new Uint8Array(capacity);
    this.flags = new Uint8Array(capacity);
    this.weight = new Float32Array(capacity);
    this.activeAt = new Float64Array(capacity);
    this.restUntil = new Float64Array(capacity);
    this.place = new Int32Array(capacity);
  }

  get capacity(): number {
    return this.next.length;
  }

  grow(capacity: number): void {
    this.next = copied(new Int32Array(capacity).fill(NIL), this.next);
    this.prev = copied(new Int32Array(capacity).fill(NIL), this.prev);
    this.list = copied(new Uint8Array(capacity), this.list);
    this.flags = copied(new Uint8Array(capacity), this.flags);
    this.weight = copied(new Float32Array(capacity), this.weight);
    this.activeAt = copied(new Float64Array(capacity), this.activeAt);
    this.restUntil = copied(new Float64Array(capacity), this.restUntil);
    this.place = copied(new Int32Array(capacity), this.place);
  }
}

function copied<A extends { set(from: A): void }>(to: A, from: A): A {
  to.set(from);
  return to;
}

const Flag = {
  asks: 1,
  pinned: 2,
  /** Something is in progress, though it stands among those that ask. */
  busy: 4,
  /** It asks, and did something since the lists were last put in order. */
  stirred: 8,
} as const;

export interface ChoicePolicy {
  /** HTTP connections silent for this long cannot be told any more, ms. */
  readonly silentMs: number;
  /** Responses open for this long cannot be waited for, ms. */
  readonly longMs: number;
  /** Rest of a connection that has just been moved, ms. */
  readonly restMs: number;
}

/** 60 s, 5 s and 5 min. */
export const choiceDefaults: ChoicePolicy = { silentMs: 60_000, longMs: 5_000, restMs: 300_000 };

export class Choice {
  readonly links: Links;
  readonly #policy: ChoicePolicy;
  readonly #head = new Int32Array(LISTS).fill(NIL);
  readonly #tail = new Int32Array(LISTS).fill(NIL);
  readonly #counts = new Int32Array(LISTS);
  /**
   * Those that ask and stirred: where they belong is looked up when somebody wants to know, not twice at every request. Until then
   * they stand among those that ask.
   */
  readonly #stirred: number[] = [];
  readonly #isAtWork: (slot: number) => boolean;
  #count = 0;
  #weight = 0;

  /**
   * `isAtWork` is asked at a look about those that ask and were touched since the last one: whether something is in progress of
   * which no `begin` was told. Where it says so, an `end` follows. It may first set when they were active.
   */
  constructor(links: Links, policy: ChoicePolicy = choiceDefaults, isAtWork: (slot: number) => boolean = () => false) {
    this.links = links;
    this.#policy = policy;
    this.#isAtWork = isAtWork;
  }

  /** Connections held. */
  get count(): number {
    return this.#count;
  }

  /** Sum of weights held. */
  get weight(): number {
    return this.#weight;
  }

  countIn(list: number): number {
    return this.#counts[list];
  }

  /** Connections that cannot be told to go now, however long we wait for a turn (resting ones can, later). */
  get unmovable(): number {
    return this.#counts[List.long] + this.#counts[List.silent] + this.#counts[List.pinned];
  }

  add(slot: number, options: { readonly now: number; readonly asks: boolean; readonly rests: boolean; readonly weight?: number }): void {
    const { links } = this;
    links.flags[slot] = options.asks ? Flag.asks : 0;
    links.weight[slot] = options.weight ?? 1;
    links.activeAt[slot] = options.now;
    links.restUntil[slot] = options.rests ? options.now + this.#policy.restMs : 0;
    this.#count++;
    this.#weight += links.weight[slot];
    this.#append(slot, this.#home(slot, options.now));
  }

  remove(slot: number): void {
    // The storage may be shared: nothing may be left to be done here with what is another's from now on.
    if ((this.links.flags[slot] & Flag.stirred) !== 0) this.#forget(slot);
    this.#unlink(slot);
    this.links.list[slot] = List.none;
    this.#count--;
    this.#weight -= this.links.weight[slot];
    if (this.#count === 0) this.#weight = 0;
  }

  /** Something was read or written. True: it will be looked at; until then another touch would change nothing but the time. */
  touch(slot: number, now: number): boolean {
    const { links } = this;
    const list = links.list[slot];
    // What is in progress keeps the time at which it began: a stream that is written every second is a long one all the same.
    if (this.#isBusy(slot)) return false;
    links.activeAt[slot] = now;
    if (list === List.asking) {
      this.#stir(slot, links.flags[slot]);
      return true;
    }
    if (list !== List.resting && list !== List.pinned) this.#move(slot, this.#home(slot, now));
    return false;
  }

  /** A request, stream or write began: never chosen until `rest`. */
  begin(slot: number, now: number): void {
    const { links } = this;
    links.activeAt[slot] = now;
    if (links.list[slot] === List.asking) this.#stir(slot, links.flags[slot] | Flag.busy);
    else this.#move(slot, List.busy);
  }

  /** The last thing in progress ended. */
  end(slot: number, now: number): void {
    const { links } = this;
    links.activeAt[slot] = now;
    const flags = links.flags[slot] & ~Flag.busy;
    if (links.list[slot] === List.asking && (flags & Flag.pinned) === 0) return this.#stir(slot, flags);
    links.flags[slot] = flags;
    this.#move(slot, this.#home(slot, now));
  }

  pin(slot: number, pinned: boolean, now: number): void {
    const { flags } = this.links;
    flags[slot] = pinned ? flags[slot] | Flag.pinned : flags[slot] & ~Flag.pinned;
    if (!this.#isBusy(slot)) this.#move(slot, this.#home(slot, now));
  }

  /** Whether the connection can be told only when it asks, or at any time: then also while something is in progress. */
  asks(slot: number, asks: boolean, now: number): void {
    const { flags } = this.links;
    flags[slot] = (asks ? flags[slot] | Flag.asks : flags[slot] & ~Flag.asks) & ~Flag.busy;
    this.#move(slot, this.#home(slot, now));
  }

  /** Changes what a connection weighs; takes effect in the order at once. */
  weigh(slot: number, weight: number, now: number): void {
    this.#weight += weight - this.links.weight[slot];
    this.links.weight[slot] = weight;
    if (this.links.list[slot] >= List.idle) this.#move(slot, this.#home(slot, now));
  }

  /** Whether an HTTP/1.1 connection that asks now may be told. */
  mayTell(slot: number, now: number): boolean {
    return (this.links.flags[slot] & Flag.pinned) === 0 && this.links.restUntil[slot] <= now;
  }

  /** Moves what fell silent, long or has rested to where it belongs now. Cheap: each slot moves once per change. */
  sweep(now: number): void {
    this.#settle();
    this.#sweep(List.busy, List.long, now - this.#policy.longMs);
    this.#sweep(List.asking, List.silent, now - this.#policy.silentMs);
    const { restUntil } = this.links;
    for (let slot = this.#head[List.resting]; slot !== NIL && restUntil[slot] <= now; slot = this.#head[List.resting]) {
      this.#move(slot, this.#home(slot, now));
    }
  }

  /** Ends the rest of all: where a node is emptied, nobody stays behind because it has just come. */
  wake(now: number): void {
    for (let slot = this.#head[List.resting]; slot !== NIL; slot = this.#head[List.resting]) {
      this.links.restUntil[slot] = 0;
      this.#move(slot, this.#home(slot, now));
    }
  }

  /** Hands up to `count` of those that can be told to `take`, longest idle first; returns how many it took. */
  pick(count: number, take: (slot: number) => boolean): number {
    const left = this.#counts.slice();
    let taken = 0;
    for (let misses = 0; taken < count && misses < MOST_MISSES;) {
      const list = this.#longestIdle(left);
      if (list === NIL) break;
      left[list]--;
      const slot = this.#head[list];
      if (take(slot)) {
        taken++;
      } else {
        misses++;
        this.#postpone(slot, list);
      }
    }
    return taken;
  }

  /**
   * The same by weight: few heavy ones rather than many light ones, none heavier than `heaviest` or than what is still
   * asked for, at most `count`. Returns the weight taken.
   */
  pickWeight(amount: number, limits: { readonly heaviest: number; readonly count: number }, take: (slot: number) => boolean): number {
    const { weight } = this.links;
    let taken = 0;
    let left = limits.count;
    for (let list = LISTS - 1; list >= List.idle; list--) {
      let misses = 0;
      for (let look = this.#counts[list]; look > 0 && left > 0 && misses < MOST_MISSES; look--) {
        const slot = this.#head[list];
        const most = Math.min(limits.heaviest, amount - taken);
        // A class holds weights within a factor of two: where all of it is too heavy, go on to lighter ones.
        if (slot === NIL || classOf(most) < list - List.idle) break;
        const slotWeight = weight[slot];
        if (slotWeight <= most && take(slot)) {
          taken += slotWeight;
          left--;
        } else {
          misses++;
          this.#postpone(slot, list);
        }
      }
    }
    return taken;
  }

  /** Connections that can be told at any time, resting ones left out. */
  get tellable(): number {
    let sum = 0;
    for (let list = List.idle as number; list < LISTS; list++) sum += this.#counts[list];
    return sum;
  }

  /** All slots, least recently active first within each list. */
  *slots(): Generator<number> {
    this.#settle();
    for (let list = List.busy as number; list < LISTS; list++) {
      let slot = this.#head[list];
      while (slot !== NIL) {
        const next = this.links.next[slot];
        yield slot;
        slot = next;
      }
    }
  }

  /** The list whose first has been idle for longest, among those with looks left; NIL when there is none. */
  #longestIdle(left: Int32Array): number {
    const { activeAt } = this.links;
    let best = NIL;
    for (let list = List.idle as number; list < LISTS; list++) {
      const slot = this.#head[list];
      if (left[list] > 0 && slot !== NIL && (best === NIL || activeAt[slot] < activeAt[this.#head[best]])) best = list;
    }
    return best;
  }

  /** One that must stay for now (bytes unsent, too heavy) goes to the end of its list; `take` may have removed it. */
  #postpone(slot: number, list: number): void {
    if (this.#head[list] === slot) this.#move(slot, list);
  }

  #isBusy(slot: number): boolean {
    const { list, flags } = this.links;
    return list[slot] === List.busy || list[slot] === List.long || (flags[slot] & Flag.busy) !== 0;
  }

  #stir(slot: number, flags: number): void {
    if ((flags & Flag.stirred) === 0) this.links.place[slot] = this.#stirred.push(slot) - 1;
    this.links.flags[slot] = flags | Flag.stirred;
  }

  /** Takes one out of those that stirred, and lets the others be: looking at all of them at every end would be dear. */
  #forget(slot: number): void {
    const { place } = this.links;
    const last = this.#stirred.pop();
    if (last === undefined || last === slot) return;
    this.#stirred[place[slot]] = last;
    place[last] = place[slot];
  }

  /** Puts those that stirred where they belong. They are in order as far as the time since the last look goes. */
  #settle(): void {
    const { flags, list } = this.links;
    for (const slot of this.#stirred) {
      const isBusy = (flags[slot] & Flag.busy) !== 0;
      flags[slot] &= ~(Flag.stirred | Flag.busy);
      if (list[slot] === List.asking) this.#move(slot, isBusy || this.#isAtWork(slot) ? List.busy : List.asking);
    }
    this.#stirred.length = 0;
  }

  #home(slot: number, now: number): number {
    const { flags, restUntil, activeAt, weight } = this.links;
    if ((flags[slot] & Flag.pinned) !== 0) return List.pinned;
    if (restUntil[slot] > now) return List.resting;
    if ((flags[slot] & Flag.asks) === 0) return List.idle + classOf(weight[slot]);
    return activeAt[slot] <= now - this.#policy.silentMs ? List.silent : List.asking;
  }

  #sweep(from: number, to: number, before: number): void {
    const { activeAt } = this.links;
    for (let slot = this.#head[from]; slot !== NIL && activeAt[slot] <= before; slot = this.#head[from]) this.#move(slot, to);
  }

  #move(slot: number, list: number): void {
    this.#unlink(slot);
    this.#append(slot, list);
  }

  #append(slot: number, list: number): void {
    const { links } = this;
    const tail = this.#tail[list];
    links.list[slot] = list;
    links.prev[slot] = tail;
    links.next[slot] = NIL;
    if (tail === NIL) this.#head[list] = slot;
    else links.next[tail] = slot;
    this.#tail[list] = slot;
    this.#counts[list]++;
  }

  #unlink(slot: number): void {
    const { links } = this;
    const list = links.list[slot];
    const prev = links.prev[slot];
    const next = links.next[slot];
    if (prev === NIL) this.#head[list] = next;
    else links.next[prev] = next;
    if (next === NIL) this.#tail[list] = prev;
    else links.prev[next] = prev;
    this.#counts[list]--;
  }
}

function classOf(weight: number): number {
  if (!(weight > 0)) return 0;
  return Math.max(0, Math.min(CLASSES - 1, Math.floor(Math.log2(weight)) + UNIT_CLASS));
}
