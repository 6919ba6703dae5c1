// Who is present on which topic, for an engine in memory. Whose time is over stays until that was told to somebody.
import type { Clock } from '../core/clock.ts';
import { tooMuch } from './bounds.ts';
import { LapsingMap, type Lapses } from './lapsing.ts';
import type { OwnedMember } from './stream-calls.ts';
import { type PresentMember, streamLimits } from './streams.ts';

interface Member extends Lapses {
  readonly owner: number;
  readonly user: string | null;
}

interface Topic extends Lapses {
  readonly members: Map<string, Member>;
}

/** For how long somebody whose time is over waits to be told, besides another time to live. */
export const UNTOLD_MS = 60_000;

export class MemoryPresence {
  readonly #clock: Clock;
  readonly #topics = new LapsingMap<Topic>({ thing: 'the topics with presence', most: streamLimits.topics });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  enter(name: string, member: OwnedMember, ttlMs: number): boolean {
    const now = this.#clock.now();
    const { client, user, owner } = member;
    const topic = this.#topics.get(name, now) ?? { members: new Map(), until: 0 };
    const known = topic.members.get(client);
    if (known !== undefined && known.owner > owner) return false;
    const most = streamLimits.presentPerTopic;
    if (known === undefined && topic.members.size >= most) throw tooMuch('the presence on a topic', `at most ${most} members`, 'one more');
    if (topic.members.size === 0) this.#topics.add(name, topic, now);
    topic.members.set(client, { owner, user, until: now + ttlMs });
    topic.until = Math.max(topic.until, now + 2 * ttlMs + UNTOLD_MS);
    return known === undefined;
  }

  leave(name: string, client: string, owner: number): boolean {
    const members = this.#topics.get(name, this.#clock.now())?.members;
    const known = members?.get(client);
    if (members === undefined || known === undefined || known.owner > owner) return false;
    members.delete(client);
    if (members.size === 0) this.#topics.delete(name);
    return true;
  }

  present(name: string): readonly PresentMember[] {
    const now = this.#clock.now();
    return this.#some(name, { where: (member) => member.until > now, most: streamLimits.namesPerCall });
  }

  lapsed(name: string): readonly PresentMember[] {
    const now = this.#clock.now();
    const gone = this.#some(name, { where: (member) => member.until <= now, most: streamLimits.lapsedPerCall });
    const members = this.#topics.get(name, now)?.members;
    for (const { client } of gone) members?.delete(client);
    if (members?.size === 0) this.#topics.delete(name);
    return gone;
  }

  #some(name: string, wanted: { readonly where: (member: Member) => boolean; readonly most: number }): readonly PresentMember[] {
    const found: PresentMember[] = [];
    for (const [client, member] of this.#topics.get(name, this.#clock.now())?.members ?? []) {
      if (found.length >= wanted.most) break;
      if (wanted.where(member)) found.push({ client, user: member.user });
    }
    return found;
  }
}
