// The sessions of an engine in memory: who owns each, the numbers it has used, and the replies it may still ask for.
import type { Clock } from '../core/clock.ts';
import { tooMuch } from './bounds.ts';
import { LapsingMap, type Lapses } from './lapsing.ts';
import type { OwnedSession, Range, Reply } from './stream-calls.ts';
import { type Appended, type Claim, type Claimed, streamLimits } from './streams.ts';

interface Session extends Lapses {
  owner: number;
  readonly instance: string;
  readonly user: string | null;
  link: number;
  node: string;
  before: string | null;
  /** The link whose claim made the session. */
  readonly madeBy: number;
  readonly numbers: Map<string, number>;
  readonly replies: Map<number, string>;
}

export class MemorySessions {
  readonly #clock: Clock;
  readonly #sessions = new LapsingMap<Session>({ thing: 'the sessions', most: streamLimits.sessions });
  /** Common to all sessions, so that one that is made again under an old name does not begin at an owner epoch that was in use. */
  #owners = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  claim(claim: Claim): Claimed {
    const now = this.#clock.now();
    const { instance, user, link, node, ticket } = claim;
    let session = this.#sessions.get(claim.session, now);
    if (session === undefined) {
      if (!claim.create || ticket !== null) return { kind: 'unknown' };
      session = { owner: 0, instance, user, link, node, before: null, madeBy: link, numbers: new Map(), replies: new Map(), until: now + claim.ttlMs };
      this.#sessions.add(claim.session, session, now);
    } else {
      if (session.instance !== instance || session.user !== user) return { kind: 'foreign' };
      if (link < session.link) return { kind: 'stale' };
      // The answer to the same claim was lost: its ticket is the one that it spent itself.
      const again = link === session.link && node === session.node;
      if (!again && ticket !== null && ticket !== session.owner) return { kind: 'spent' };
      if (!again) session.before = session.node;
      session.link = link;
      session.node = node;
      session.until = now + claim.ttlMs;
    }
    session.owner = ++this.#owners;
    const { owner, before, numbers } = session;
    return { kind: 'claimed', owner, before, created: session.madeBy === link, numbers: Object.fromEntries(numbers) };
  }

  keep(sessions: readonly OwnedSession[], ttlMs: number): readonly string[] {
    const until = this.#clock.now() + ttlMs;
    const lost: string[] = [];
    for (const { session, owner } of sessions) {
      const own = this.#owned(session, owner);
      if (own === null) lost.push(session);
      else own.until = until;
    }
    return lost;
  }

  end(session: string, owner: number): void {
    if (this.#owned(session, owner) !== null) this.#sessions.delete(session);
  }

  /** The last number that was taken on `stream`; 0 before the first; null when fenced. No stream is begun beyond the limit, not even to tell a hole. */
  lastNumber(session: string, owner: number, stream: string): number | null {
    const own = this.#owned(session, owner);
    if (own === null) return null;
    const last = own.numbers.get(stream);
    const most = streamLimits.numbersPerSession;
    if (last === undefined && own.numbers.size >= most) throw tooMuch('the streams that a session publishes on', `at most ${most}`, 'one more');
    return last ?? 0;
  }

  /** Marks a number as taken. Nothing happens when fenced. */
  count(by: { readonly session: string; readonly owner: number; readonly number: number }, stream: string): void {
    const numbers = this.#owned(by.session, by.owner)?.numbers;
    if (numbers === undefined || by.number <= (numbers.get(stream) ?? 0)) return;
    numbers.set(stream, by.number);
  }

  /** Counts the numbers of a range as taken, unless one before it is missing. */
  skip({ session, owner, stream, range }: OwnedSession & { readonly stream: string; readonly range: Range }): Appended {
    const last = this.lastNumber(session, owner, stream);
    if (last === null) return { kind: 'fenced' };
    if (last < range.from - 1) return { kind: 'hole', expected: last + 1 };
    this.count({ session, owner, number: range.to }, stream);
    return { kind: 'repeat' };
  }

  saveReply(session: string, owner: number, reply: Reply): boolean {
    const replies = this.#owned(session, owner)?.replies;
    if (replies === undefined) return false;
    for (const number of replies.keys()) if (number <= reply.settled) replies.delete(number);
    if (reply.number > reply.settled) replies.set(reply.number, reply.data);
    if (replies.size > streamLimits.repliesPerSession) replies.delete(Math.min(...replies.keys()));
    return true;
  }

  findReply(session: string, number: number): string | null {
    return this.#sessions.get(session, this.#clock.now())?.replies.get(number) ?? null;
  }

  #owned(name: string, owner: number): Session | null {
    const session = this.#sessions.get(name, this.#clock.now());
    return session?.owner === owner ? session : null;
  }
}
