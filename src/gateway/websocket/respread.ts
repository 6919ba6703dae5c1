// Evens out the relayed WebSockets of groups that want it: an upstream that came back gets its share again, from those that stood in
// for it. The planner of the fleet says how many; each WebSocket moves at a quiet moment of its own.
import type { Clock, Timer } from '../../core/clock.ts';
import { plan, planDefaults } from '../../core/planner.ts';
import type { Group, GroupHandle } from '../ports.ts';

/** One upstream: what it carries that could be moved, and its part relative to the others. */
export interface Spot {
  readonly name: string;
  readonly held: number;
  readonly weight: number;
}

export interface Shift {
  readonly from: string;
  readonly to: string;
  readonly count: number;
}

/** The relay, as far as this looks at it. */
export interface Mover {
  /** How many of the group's WebSockets could be moved, by the name of their upstream. */
  movable(group: Group): ReadonlyMap<string, number>;
  /** Moves so many, each at its next quiet moment; who finds none within the time stays. */
  shift(group: Group, shift: Shift, withinMs: number): void;
}

const LOOK_MS = 5_000;
/** What was ordered is over, one way or the other, when the next look comes. */
const WITHIN_MS = 4_500;
/** In one look, over all pairs: the pace of planned moves gives so many a turn within the time. */
const MOST = 400;

/**
 * What goes where. It begins when one upstream is a tenth above its share and goes on until none is by a fiftieth, as in a fleet:
 * `wasShedding` are those that gave at the last look; null: nobody did.
 */
export function shifts(spots: readonly Spot[], wasShedding: ReadonlySet<string> | null, most: number = MOST): Shift[] {
  const nodes = spots.map(({ name, held, weight }) => ({ id: name, address: name, amount: held, unmovable: 0, weight, role: 'up' as const }));
  const { sheds, targets } = plan({ nodes, inFlight: 0, landing: 'directed', shedding: wasShedding, unit: 'connections', preferred: null }, planDefaults);
  const rooms = spots.map(({ name, held }) => ({ name, room: Math.floor((targets.get(name) ?? 0) - held + 1e-6) })).filter(({ room }) => room > 0);
  const found: Shift[] = [];
  let left = most;
  for (const shed of sheds) {
    let giving = Math.min(left, Math.floor(shed.count + 1e-6));
    for (const place of rooms) {
      const count = Math.min(giving, place.room);
      if (count === 0) continue;
      found.push({ from: shed.id, to: place.name, count });
      place.room -= count;
      giving -= count;
      left -= count;
    }
  }
  return found;
}

export class Respreading {
  readonly #groups: ReadonlyMap<string, GroupHandle>;
  readonly #mover: Mover;
  readonly #timer: Timer;
  /** Who gave at the last look. */
  #shedding: ReadonlyMap<Group, ReadonlySet<string>> = new Map();

  constructor({ clock, groups, mover }: { readonly clock: Clock; readonly groups: ReadonlyMap<string, GroupHandle>; readonly mover: Mover }) {
    this.#groups = groups;
    this.#mover = mover;
    this.#timer = clock.every(LOOK_MS, () => this.#look());
  }

  stop(): void {
    this.#timer.cancel();
  }

  #look(): void {
    const shedding = new Map<Group, ReadonlySet<string>>();
    for (const group of this.#groups.values()) {
      const { websocket } = group.settings;
      if (!websocket.respread || !websocket.failover) continue;
      const held = this.#mover.movable(group);
      // Who is new, ill or on the way out neither gives nor gets.
      const steady = group.list().filter(({ state, weight }) => state === 'up' && weight > 0);
      const spots = steady.map(({ name, weight }) => ({ name, weight, held: held.get(name) ?? 0 }));
      const found = shifts(spots, this.#shedding.get(group) ?? null);
      for (const shift of found) this.#mover.shift(group, shift, WITHIN_MS);
      if (found.length > 0) shedding.set(group, new Set(found.map(({ from }) => from)));
    }
    this.#shedding = shedding;
  }
}
