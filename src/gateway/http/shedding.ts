// Which requests are turned away before a group is full, so that those of higher priority still find room.
import type { Group, Route } from '../ports.ts';

/** The lowest of several priorities may fill a group up to here, the highest all of it, the others in between. */
const LOWEST_SHARE = 0.8;

export class Shedding {
  /** The priorities that ask each group, in ascending order. They are learned: routes are replaced by a reload. */
  readonly #priorities = new WeakMap<Group, number[]>();

  sheds({ group, settings: { priority } }: Route): boolean {
    // Without a limit there is no room to be kept.
    if (group === null || group.settings.maxActive === null) return false;
    let known = this.#priorities.get(group);
    if (known === undefined) this.#priorities.set(group, (known = []));
    let rank = known.indexOf(priority);
    if (rank === -1) {
      known.push(priority);
      known.sort((a, b) => a - b);
      rank = known.indexOf(priority);
    }
    const above = known.length - 1 - rank;
    return above > 0 && group.pressure >= 1 - ((1 - LOWEST_SHARE) * above) / (known.length - 1);
  }
}
