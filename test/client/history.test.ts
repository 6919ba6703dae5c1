// Whatever happens to links, sessions and streams, in whatever order: each stream arrives complete, in order, once, or says
// where it does not; each message takes effect once, or is told to be undecided. And the judge of that finds what is wrong.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { Client } from '../../src/client/client.ts';
import { ClientError } from '../../src/client/errors.ts';
import { settle } from '../../src/client/options.ts';
import { VirtualClock } from '../../src/core/clock.ts';
import { seeded } from '../../src/core/random.ts';
import type { PageEvent } from '../../src/host/browser.ts';
import type { Position } from '../../src/protocol/frames.ts';
import { ModelFleet, type Mistakes } from './model.ts';
import { forms, type Form } from './stage.ts';

const topics = ['a', 'b'];

type Act =
  | { readonly kind: 'publish' | 'other' | 'lose' | 'trim' | 'again'; readonly topic: string; readonly count: number }
  | { readonly kind: 'break'; readonly code: number; readonly newest: boolean }
  | { readonly kind: 'request' | 'silence' | 'move' | 'resync' | 'expire' | 'awake' | 'offline' };

const anyTopic = fc.constantFrom(...topics);
const few = fc.integer({ min: 1, max: 5 });
const onTopic = (kind: 'publish' | 'other' | 'lose' | 'trim' | 'again') => fc.tuple(anyTopic, few).map(([topic, count]): Act => ({ kind, topic, count }));
/** What the promise of the protocol covers. */
const kept: fc.Arbitrary<Act>[] = [
  onTopic('publish'),
  onTopic('publish'),
  onTopic('other'),
  onTopic('again'),
  fc.tuple(fc.constantFrom(1006, 1012, 1011, 1005), fc.boolean()).map(([code, newest]): Act => ({ kind: 'break', code, newest })),
  ...(['request', 'silence', 'move', 'move', 'resync', 'awake', 'offline'] as const).map((kind) => fc.constant<Act>({ kind })),
];
/** What it does not: what is lost then must be told. */
const beyond: fc.Arbitrary<Act>[] = [...kept, onTopic('lose'), onTopic('trim'), fc.constant<Act>({ kind: 'expire' })];

const schedules = (acts: fc.Arbitrary<Act>[]) =>
  fc.record({
    seed: fc.integer(),
    steps: fc.array(fc.record({ act: fc.oneof(...acts), thenMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.constant(0), fc.constant(40_000)) }), {
      maxLength: 40,
    }),
  });

type Schedule = ReturnType<typeof schedules> extends fc.Arbitrary<infer S> ? S : never;

type Heard =
  | { readonly kind: 'message'; readonly value: unknown; readonly position: Position }
  | { readonly kind: 'gap'; readonly from: Position | null; readonly to: Position };

interface Said {
  readonly topic: string;
  readonly value: number;
  /** 'open', 'taken', or the code of the error. */
  fate: string;
}

interface Around {
  readonly form?: Form;
  readonly mistakes?: Mistakes;
}

class Trial {
  readonly clock = new VirtualClock();
  readonly fleet: ModelFleet;
  readonly client: Client;
  readonly heard = new Map<string, Heard[]>(topics.map((topic) => [topic, []]));
  readonly said: Said[] = [];
  readonly replies: string[] = [];
  lost = 0;
  #page!: (event: PageEvent) => void;
  #values = 0;

  constructor(seed: number, around: Around) {
    const random = seeded(seed);
    this.fleet = new ModelFleet(this.clock, random, around);
    const page = (tell: (event: PageEvent) => void) => {
      this.#page = tell;
      return { stop: () => {} };
    };
    this.client = new Client(settle({ url: 'ws://fleet/', clock: this.clock, random, instance: 'i', page }, this.fleet.form.client, this.fleet.open));
    this.client.onLost(() => this.lost++);
    for (const topic of topics) {
      const heard = this.heard.get(topic) ?? [];
      const subscription = this.client.subscribe(topic, { history: 0 });
      subscription.onMessage(({ value, position }) => heard.push({ kind: 'message', value, position }));
      subscription.onGap(({ from, to }) => heard.push({ kind: 'gap', from, to }));
    }
  }

  async run(schedule: Schedule): Promise<void> {
    await this.clock.advanceAsync(500);
    for (const { act, thenMs } of schedule.steps) {
      this.#do(act);
      await this.clock.advanceAsync(thenMs);
    }
    this.#page('awake');
    // Long enough to find silent links dead, and to back off.
    await this.clock.advanceAsync(400_000);
  }

  #do(act: Act): void {
    const { fleet } = this;
    const newest = fleet.alive.at(-1);
    switch (act.kind) {
      case 'publish':
        for (let i = 0; i < act.count; i++) this.#publish(act.topic);
        return;
      case 'other':
        for (let i = 0; i < act.count; i++) fleet.publish(act.topic, { json: String(++this.#values) });
        return;
      case 'again':
        // A second subscription shares the stream, and leaves it alone when it stops.
        return this.client.subscribe(act.topic).stop();
      case 'request': {
        const index = this.replies.push('open') - 1;
        const settled = (how: string) => () => void (this.replies[index] = how);
        this.client.request('m', index, { timeoutMs: 1e6 }).then(settled('done'), settled('undecided'));
        return;
      }
      case 'break':
        return (act.newest ? newest : fleet.alive[0])?.break(act.code);
      case 'silence':
        if (newest !== undefined) newest.fate = 'silent';
        return;
      case 'move':
        return newest?.say({ type: 'move', url: 'ws://fleet/', ticket: 't', withinMs: 10_000 });
      case 'resync':
        return newest?.change();
      case 'lose':
        return fleet.lose(act.topic, act.count);
      case 'trim':
        return fleet.stream(act.topic).trim(act.count * 3);
      case 'expire':
        fleet.sessions.clear();
        for (const link of fleet.alive) link.break(1006);
        return;
      case 'awake':
        return this.#page('awake');
      case 'offline':
        return this.#page('offline');
    }
  }

  #publish(topic: string): void {
    const said: Said = { topic, value: ++this.#values, fate: 'open' };
    this.said.push(said);
    const failed = (error: unknown): void => void (said.fate = error instanceof ClientError ? error.code : 'failed');
    this.client.publish(topic, said.value).then(() => (said.fate = 'taken'), failed);
  }
}

/** Throws where the history breaks a promise; with `isKept`, also where something was lost at all. */
function judge({ client, fleet, heard, said, replies, lost }: Trial, isKept: boolean): void {
  assert.equal(client.state.kind, 'open');
  for (const topic of topics) {
    const { log, position } = fleet.stream(topic);
    const values = log.map(({ payload }) => ('json' in payload ? Number(payload.json) : -1));
    let at: Position | null = null;
    const once = new Set<string>();
    for (const what of heard.get(topic) ?? []) {
      if (what.kind === 'gap') {
        assert.ok(!isKept, 'a gap where nothing was lost');
        assert.deepEqual(what.from, at ?? what.from, 'a gap begins where the client stood');
        at = what.to;
        continue;
      }
      const { epoch, offset } = what.position;
      if (at !== null) assert.equal(offset, at.offset + 1, `a hole or a repeat on ${topic}`);
      const index = log.findIndex((entry) => entry.epoch === epoch && entry.offset === offset);
      assert.equal(what.value, values[index], `another message on ${topic}`);
      assert.ok(!once.has(`${epoch} ${offset}`), 'a repeat');
      once.add(`${epoch} ${offset}`);
      at = what.position;
    }
    if (at !== null) assert.deepEqual(at.offset, position.offset, `the end of ${topic} is missing`);
    const mine = said.filter((one) => one.topic === topic);
    for (const { value, fate } of mine) {
      const times = values.filter((one) => one === value).length;
      assert.ok(times <= 1, 'a message took effect twice');
      assert.ok(fate === 'taken' || (!isKept && fate === 'undecided'), `a message ended as ${fate}`);
      if (fate === 'taken') assert.equal(times, 1, 'an acknowledged message is nowhere');
    }
    const order = values.filter((value) => mine.some((one) => one.value === value));
    assert.deepEqual(
      order,
      order.toSorted((x, y) => x - y),
      `messages on ${topic} changed places`,
    );
  }
  for (const reply of replies) assert.ok(reply === 'done' || (!isKept && reply === 'undecided'), `a request ended as ${reply}`);
  if (isKept) assert.equal(lost, 0);
}

async function holds(acts: fc.Arbitrary<Act>[], isKept: boolean, { numRuns = 100, ...around }: Around & { numRuns?: number } = {}) {
  const seed = process.env.EVENKEEL_SEED;
  const property = fc.asyncProperty(schedules(acts), async (schedule) => {
    const trial = new Trial(schedule.seed, around);
    await trial.run(schedule);
    judge(trial, isKept);
  });
  await fc.assert(property, { numRuns, ...(seed === undefined ? {} : { seed: Number(seed) }) });
}

describe('random histories', () => {
  for (const form of forms) {
    test(`of breaks, silences, moves and changes of server lose nothing, repeat nothing, reorder nothing, in ${form.name}`, () => holds(kept, true, { form }));
    test(`in which the fleet loses entries, history and sessions tell what is lost, and nothing else is, in ${form.name}`, () =>
      holds(beyond, false, { form }));
  }

  // About the judge, who reads no messages.
  for (const mistakes of [{ takesTwice: true }, { skips: true }, { forgets: true }]) {
    test(`with a planted mistake (${Object.keys(mistakes)[0]}) are found wrong`, async () => {
      await assert.rejects(holds(kept, true, { mistakes, numRuns: 300 }), /Property failed/);
    });
  }
});
