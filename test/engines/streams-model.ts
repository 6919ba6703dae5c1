// What streams and sessions should do, as plainly as it can be said and without time; and random calls, each made on two engines in
// turn and on this model. Used with engines in memory and in Redis.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import type { Engine } from '../../src/engine/engine.ts';
import type { Appended, Author, Claim, Claimed, Page } from '../../src/engine/streams.ts';

/** Which owner epoch is meant: the present one of the session, or the one before. */
interface BySession {
  readonly session: string;
  readonly whose: 'now' | 'before';
}
export type Operation =
  | { readonly do: 'post'; readonly stream: string; readonly id: number; readonly count: number }
  | (BySession & { readonly do: 'say'; readonly stream: string; readonly number: number; readonly count: number })
  | { readonly do: 'after'; readonly stream: string; readonly offset: number; readonly limit: number; readonly bogus: boolean }
  | { readonly do: 'history'; readonly stream: string; readonly history: number; readonly limit: number }
  | (Pick<Claim, 'session' | 'instance' | 'link' | 'node' | 'user' | 'create'> & { readonly do: 'claim'; readonly ticket: 'none' | 'now' | 'before' })
  | (BySession & { readonly do: 'keep' })
  | (BySession & { readonly do: 'end' })
  | (BySession & { readonly do: 'skip'; readonly stream: string; readonly number: number })
  | (BySession & { readonly do: 'reply'; readonly number: number; readonly settled: number })
  | { readonly do: 'find'; readonly session: string; readonly number: number }
  | { readonly do: 'enter' | 'leave'; readonly stream: string; readonly client: string; readonly owner: number; readonly turn: number; readonly count: number }
  | { readonly do: 'present'; readonly stream: string };
type Of<Verb extends Operation['do']> = Operation & { readonly do: Verb };

const name = fc.constantFrom('a', 'b');
const number = fc.integer({ min: 1, max: 3 });
const whose = fc.constantFrom<'now' | 'before'>('now', 'now', 'now', 'before');

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ do: fc.constant('post' as const), stream: name, id: fc.integer({ min: 0, max: 9 }), count: fc.constantFrom(2, 5, 1_000) }),
  fc.record({ do: fc.constant('say' as const), stream: name, session: name, whose, number, count: fc.constantFrom(3, 1_000) }),
  fc.record({ do: fc.constant('after' as const), stream: name, offset: fc.nat(12), limit: fc.integer({ min: 1, max: 5 }), bogus: fc.boolean() }),
  fc.record({ do: fc.constant('history' as const), stream: name, history: fc.nat(8), limit: fc.integer({ min: 1, max: 5 }) }),
  fc.record({
    do: fc.constant('claim' as const),
    session: name,
    instance: fc.constantFrom('i', 'i', 'i', 'i', 'i', 'j'),
    link: fc.integer({ min: 1, max: 4 }),
    node: fc.constantFrom('n1', 'n2'),
    user: fc.constantFrom(null, null, null, null, 'u'),
    ticket: fc.constantFrom('none' as const, 'none' as const, 'now' as const, 'before' as const),
    create: fc.constantFrom(true, true, false),
  }),
  fc.record({ do: fc.constant('keep' as const), session: name, whose }),
  fc.record({ do: fc.constant('end' as const), session: name, whose: fc.constantFrom<'now' | 'before'>('now', 'before', 'before') }),
  fc.record({ do: fc.constant('skip' as const), session: name, whose, stream: name, number }),
  fc.record({ do: fc.constant('reply' as const), session: name, whose, number, settled: fc.nat(6) }),
  fc.record({ do: fc.constant('find' as const), session: name, number }),
  fc.record({
    do: fc.constantFrom('enter' as const, 'leave' as const),
    stream: name,
    client: fc.constantFrom('c', 'd', 'd 1'),
    owner: fc.constantFrom(9, 10),
    turn: fc.constantFrom(1, 2, 3, 10),
    count: fc.constantFrom(3, 1_000),
  }),
  fc.record({ do: fc.constant('present' as const), stream: name }),
);

export const operations: fc.Arbitrary<Operation[]> = fc.array(operation, { minLength: 1, maxLength: 80, size: 'max' });

interface Session {
  readonly instance: string;
  readonly user: string | null;
  readonly madeBy: number;
  link: number;
  node: string;
  before: string | null;
  readonly numbers: Record<string, number>;
  replies: Record<number, string>;
}

interface Turn {
  readonly owner: number;
  readonly turn: number;
  readonly isHere: boolean;
}

interface Stream {
  epoch: string;
  readonly all: string[];
  held: number;
  /** Whoever came or left, and the last coming that is known. */
  readonly comings: Map<string, Turn>;
}

/** Carries out operations on engines of one fleet, under names that nobody else uses, and checks every answer. */
export class Model {
  readonly #engines: readonly Engine[];
  readonly #prefix: string;
  readonly #streams = new Map<string, Stream>();
  readonly #sessions = new Map<string, Session>();
  readonly #owners = new Map<string, { now: number; before: number }>();
  readonly #ids = new Set<string>();
  #calls = 0;

  constructor(engines: readonly Engine[], prefix: string) {
    this.#engines = engines;
    this.#prefix = prefix;
  }

  async run(all: readonly Operation[]): Promise<void> {
    for (const one of all) await this.#step(one);
    for (const [stream, { all }] of this.#streams) {
      const [top] = await this.#engine.tops([this.#prefix + stream], 60_000);
      assert.equal(top.offset, all.length);
    }
  }

  get #engine(): Engine['streams'] {
    return this.#engines[this.#calls++ % this.#engines.length].streams;
  }

  async #step(one: Operation): Promise<void> {
    switch (one.do) {
      case 'post':
        return this.#append(one, { kind: 'id', id: `${one.id}` });
      case 'say':
        return this.#append(one, { kind: 'session', session: this.#prefix + one.session, owner: this.#owner(one), number: one.number });
      case 'after':
        return this.#after(one);
      case 'history':
        return this.#history(one);
      case 'claim':
        return this.#claim(one);
      case 'enter':
      case 'leave':
        return this.#change(one);
      case 'present':
        return this.#present(one);
      default:
        return this.#owned(one);
    }
  }

  #owner(of: BySession): number {
    return this.#owners.get(of.session)?.[of.whose] ?? 0;
  }

  /** The session if this owner has it. */
  #session(of: BySession): Session | undefined {
    const owners = this.#owners.get(of.session);
    return owners !== undefined && (of.whose === 'now' || owners.now === owners.before) ? this.#sessions.get(of.session) : undefined;
  }

  #stream(name: string): Stream {
    const stream = this.#streams.get(name) ?? { epoch: '', all: [], held: 0, comings: new Map() };
    this.#streams.set(name, stream);
    return stream;
  }

  async #append(one: Of<'post'> | Of<'say'>, author: Author): Promise<void> {
    const stream = this.#stream(one.stream);
    const data = `${this.#calls}`;
    const expected = this.#expectedAppend(one, stream);
    const keep = { count: one.count, ageMs: 60_000, metaMs: 60_000 };
    const got = await this.#engine.append({ stream: this.#prefix + one.stream, data, author, keep });
    if (expected.kind !== 'appended') return assert.deepEqual(got, expected);
    assert.ok(got.kind === 'appended');
    if (stream.epoch === '') stream.epoch = got.epoch;
    assert.deepEqual(got, { ...expected, epoch: stream.epoch });
    this.#put(stream, data, one.count);
    if (one.do === 'post') this.#ids.add(`${one.stream} ${one.id}`);
    else this.#numbersOf(one)[this.#prefix + one.stream] = one.number;
  }

  #put(stream: Stream, data: string, count: number): void {
    stream.all.push(data);
    stream.held = Math.min(stream.held + 1, count);
  }

  async #change(one: Of<'enter' | 'leave'>): Promise<void> {
    const { client, count } = one;
    const stream = this.#stream(one.stream);
    const keep = { count, ageMs: 60_000, metaMs: 60_000 };
    const { do: verb, ...coming } = { ...one, stream: this.#prefix + one.stream, keep };
    const known = stream.comings.get(client) ?? { owner: 0, turn: 0, isHere: false };
    const order = one.owner - known.owner || one.turn - known.turn;
    const entering = { ...coming, user: null, joined: `+${client}`, left: `-${client}`, ttlMs: 60_000 };
    const told = await (verb === 'enter' ? this.#engine.enter(entering) : this.#engine.leave(coming));
    // Who is here is refreshed by the same coming; who left does not come back by it.
    const isNews = verb === 'enter' ? !known.isHere && order > 0 : known.isHere && order >= 0;
    assert.equal(told, isNews);
    if (order > 0 || isNews) stream.comings.set(client, { owner: one.owner, turn: one.turn, isHere: verb === 'enter' });
    if (isNews) this.#put(stream, verb === 'enter' ? `+${client}` : `-${client}`, count);
  }

  async #present(one: Of<'present'>): Promise<void> {
    const { comings } = this.#stream(one.stream);
    const members = await this.#engine.present(this.#prefix + one.stream, { count: 1_000, ageMs: 60_000, metaMs: 60_000 });
    const names = members.map(({ client }) => client).sort();
    assert.deepEqual(names, [...comings].flatMap(([client, { isHere }]) => (isHere ? [client] : [])).sort());
  }

  #numbersOf(one: Of<'say'>): Record<string, number> {
    return this.#session(one)?.numbers ?? {};
  }

  #expectedAppend(one: Of<'post'> | Of<'say'>, stream: Stream): Appended {
    const appended: Appended = { kind: 'appended', epoch: stream.epoch, offset: stream.all.length + 1 };
    if (one.do === 'post') return this.#ids.has(`${one.stream} ${one.id}`) ? { kind: 'repeat' } : appended;
    if (this.#session(one) === undefined) return { kind: 'fenced' };
    const last = this.#numbersOf(one)[this.#prefix + one.stream] ?? 0;
    if (one.number <= last) return { kind: 'repeat' };
    return one.number > last + 1 ? { kind: 'hole', expected: last + 1 } : appended;
  }

  async #after(one: Of<'after'>): Promise<void> {
    const stream = this.#stream(one.stream);
    const known = stream.epoch !== '' && !one.bogus;
    const after = { epoch: known ? stream.epoch : 'bogus', offset: one.offset };
    const got = await this.#engine.read(this.#prefix + one.stream, { after }, one.limit);
    const gap = !known || one.offset > stream.all.length || one.offset < stream.all.length - stream.held;
    if (gap) assert.deepEqual([got.kind, got.top.offset], ['gap', stream.all.length]);
    else this.#assertPage(got, stream, one.offset, one.limit);
    stream.epoch = got.top.epoch;
  }

  async #history(one: Of<'history'>): Promise<void> {
    const stream = this.#stream(one.stream);
    const got = await this.#engine.read(this.#prefix + one.stream, { history: one.history }, one.limit);
    if (stream.epoch === '') stream.epoch = got.top.epoch;
    this.#assertPage(got, stream, stream.all.length - Math.min(one.history, stream.held), one.limit);
  }

  #assertPage(got: Page, stream: Stream, offset: number, limit: number): void {
    const entries = stream.all.slice(offset, offset + limit).map((data, i) => ({ epoch: stream.epoch, offset: offset + i + 1, data }));
    assert.deepEqual(got, { kind: 'page', entries, top: { epoch: stream.epoch, offset: stream.all.length } });
  }

  async #claim(one: Of<'claim'>): Promise<void> {
    const { instance, link, user, node, create } = one;
    const owners = this.#owners.get(one.session) ?? { now: 0, before: 0 };
    const ticket = one.ticket === 'none' ? null : owners[one.ticket];
    const claim: Claim = { session: this.#prefix + one.session, instance, link, user, node, create, ttlMs: 60_000, ticket };
    const refusal = this.#refusal(one, ticket === owners.now);
    const got = await this.#engine.claim(claim);
    if (refusal !== null) return assert.deepEqual(got, { kind: refusal });
    assert.ok(got.kind === 'claimed', got.kind);
    const known = this.#sessions.get(one.session);
    const session = known ?? { instance, user, madeBy: link, link, node, before: null, numbers: {}, replies: {} };
    if (known !== undefined && !(known.link === link && known.node === node)) session.before = known.node;
    Object.assign(session, { link, node });
    this.#sessions.set(one.session, session);
    assert.deepEqual(got, { kind: 'claimed', owner: got.owner, before: session.before, created: session.madeBy === link, numbers: session.numbers });
    assert.ok(got.owner > owners.now);
    this.#owners.set(one.session, { now: got.owner, before: owners.now });
  }

  #refusal(one: Of<'claim'>, current: boolean): Exclude<Claimed['kind'], 'claimed'> | null {
    const session = this.#sessions.get(one.session);
    if (session === undefined) return one.create && one.ticket === 'none' ? null : 'unknown';
    if (session.instance !== one.instance || session.user !== one.user) return 'foreign';
    if (one.link < session.link) return 'stale';
    const again = session.link === one.link && session.node === one.node;
    return again || one.ticket === 'none' || current ? null : 'spent';
  }

  async #owned(one: Of<'keep' | 'end' | 'skip' | 'reply' | 'find'>): Promise<void> {
    const session = this.#prefix + one.session;
    if (one.do === 'find') return assert.equal(await this.#engine.findReply(session, one.number), this.#sessions.get(one.session)?.replies[one.number] ?? null);
    const [owner, has] = [this.#owner(one), this.#session(one)];
    if (one.do === 'keep') return assert.deepEqual(await this.#engine.keepSessions([{ session, owner }], 60_000), has === undefined ? [session] : []);
    if (one.do === 'end') {
      await this.#engine.endSession(session, owner);
      if (has !== undefined) this.#sessions.delete(one.session);
    } else if (one.do === 'skip') {
      const stream = this.#prefix + one.stream;
      const last = has?.numbers[stream] ?? 0;
      const from = Math.min(one.number, last + 1);
      const answer = await this.#engine.skipNumbers(session, owner, stream, { from, to: one.number });
      assert.deepEqual(answer, { kind: has === undefined ? 'fenced' : 'repeat' });
      if (has !== undefined) has.numbers[stream] = Math.max(last, one.number);
    } else {
      const { number, settled } = one;
      const data = `${this.#calls}`;
      assert.equal(await this.#engine.saveReply(session, owner, { number, settled, data }), has !== undefined);
      if (has === undefined) return;
      has.replies[number] = data;
      has.replies = Object.fromEntries(Object.entries(has.replies).filter(([kept]) => Number(kept) > settled));
    }
  }
}
