// Who is present on which stream, for an engine in memory. Every change is appended to the stream in the same step. Whose time is
// over stays until that was told.
import type { Clock } from '../core/clock.ts';
import { tooMuch } from './bounds.ts';
import { LapsingMap, pairKey, type Lapses } from './lapsing.ts';
import { type Coming, type Enter, type Keep, type Leave, type PresentMember, streamLimits } from './streams.ts';

export interface MemoryPresencePorts {
  readonly clock: Clock;
  /** Throws where a limit is reached; then nothing was done. */
  readonly append: (stream: string, data: string, keep: Keep) => void;
}

type Turn = Pick<Coming, 'owner' | 'turn'>;

interface Member extends Lapses, Turn {
  readonly user: string | null;
  readonly left: string;
}

interface List extends Lapses {
  readonly members: Map<string, Member>;
}

/** How long a list is kept: longer than its stream, which followers may keep alive as long as they tell of those whose time is over. */
export const listMs = (ttlMs: number, keep: Keep): number => 2 * (ttlMs + Math.max(keep.ageMs, keep.metaMs));

export class MemoryPresence {
  readonly #ports: MemoryPresencePorts;
  readonly #lists = new LapsingMap<List>({ thing: 'the lists of who is present', most: streamLimits.lists });
  /** Who left not long ago: a repeat of the coming that it ended would bring it back. */
  readonly #gone = new LapsingMap<Lapses & Turn>({ thing: 'those who left', most: streamLimits.ids });

  constructor(ports: MemoryPresencePorts) {
    this.#ports = ports;
  }

  enter({ stream, client, user, owner, turn, joined, left, ttlMs, keep }: Enter): boolean {
    const now = this.#ports.clock.now();
    const list = this.#lists.get(stream, now) ?? { members: new Map(), until: 0 };
    const known = list.members.get(client);
    const gone = this.#gone.get(pairKey(stream, client), now);
    const mine = { owner, turn };
    if ((known !== undefined && isBefore(mine, known)) || (gone !== undefined && !isBefore(gone, mine))) return false;
    const most = streamLimits.presentPerStream;
    if (known === undefined && list.members.size >= most) throw tooMuch('the presence on a stream', `at most ${most} members`, 'one more');
    list.until = Math.max(list.until, now + listMs(ttlMs, keep));
    if (list.members.size === 0) this.#lists.add(stream, list, now);
    // Noted when it is told: a limit refuses the whole step.
    if (known === undefined) this.#ports.append(stream, joined, keep);
    list.members.set(client, { owner, turn, user, left, until: now + ttlMs });
    return known === undefined;
  }

  leave({ stream, client, owner, turn, keep }: Leave): boolean {
    const now = this.#ports.clock.now();
    const members = this.#lists.get(stream, now)?.members;
    const known = members?.get(client);
    const mine = { owner, turn };
    if (known !== undefined && isBefore(mine, known)) return false;
    const gone = this.#gone.get(pairKey(stream, client), now);
    if (gone === undefined || isBefore(gone, mine)) this.#gone.add(pairKey(stream, client), { ...mine, until: now + streamLimits.idMs }, now);
    if (members === undefined || known === undefined) return false;
    this.#tellGone(stream, members, { client, left: known.left, keep });
    return true;
  }

  present(stream: string, keep: Keep): readonly PresentMember[] {
    this.lapse(stream, keep);
    const found: PresentMember[] = [];
    for (const [client, { user }] of this.#lists.get(stream, this.#ports.clock.now())?.members ?? []) {
      if (found.push({ client, user }) === streamLimits.namesPerCall) break;
    }
    return found;
  }

  lapse(stream: string, keep: Keep): number {
    const now = this.#ports.clock.now();
    const members = this.#lists.get(stream, now)?.members ?? new Map<string, Member>();
    let told = 0;
    for (const [client, { until, left }] of members) {
      if (told === streamLimits.lapsedPerCall) break;
      if (until > now) continue;
      this.#tellGone(stream, members, { client, left, keep });
      told++;
    }
    return told;
  }

  #tellGone(
    stream: string,
    members: Map<string, Member>,
    { client, left, keep }: { readonly client: string; readonly left: string; readonly keep: Keep },
  ): void {
    this.#ports.append(stream, left, keep);
    members.delete(client);
    if (members.size === 0) this.#lists.delete(stream);
  }
}

const isBefore = (one: Turn, other: Turn): boolean => one.owner < other.owner || (one.owner === other.owner && one.turn < other.turn);
