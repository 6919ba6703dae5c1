// Which requests are turned away before a group is full, so that those of higher priority still find room.
import type { Route } from '../ports.ts';

/** The lowest of several priorities may fill a group up to here, the highest all of it, the others in between. */
const LOWEST_SHARE = 0.8;

/** `priorities`: those of the routes that lead to the group, each once. That of a request of an older route need not be among them. */
export function sheds({ group, settings: { priority } }: Route, priorities: readonly number[]): boolean {
  // Without a limit there is no room to be kept.
  if (group === null || group.settings.maxActive === null) return false;
  let above = 0;
  for (const one of priorities) if (one > priority) above++;
  return above > 0 && group.pressure >= 1 - ((1 - LOWEST_SHARE) * above) / Math.max(above, priorities.length - 1);
}
