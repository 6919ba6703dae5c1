// Tails over seats, with made-up seats on virtual time: streams of one turn travel together, new seats open them again.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import type { Json } from './engine.ts';
import { JoinedEngine } from './joined.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';

class Bench {
  readonly clock = new VirtualClock();
  readonly calls: Call[] = [];
  readonly owners: SeatOwner[] = [];
  answer: (call: Call) => Promise<Json> = async () => null;
  readonly engine: JoinedEngine;

  constructor() {
    const times = { timeoutMs: 2_000, takeMs: 2_500, pauseMs: 2_000 };
    const take = (owner: SeatOwner): Promise<Seat> => this.#take(owner);
    this.engine = new JoinedEngine({ kind: 'bench', name: 'bench', clock: this.clock, random: { next: () => 1 }, log: silentLog, take, ...times });
  }

  /** Verbs and numbers of streams. */
  get said(): string[] {
    return this.calls.splice(0).map((call) => ('streams' in call ? `${call.do} ${call.streams.length}` : call.do));
  }

  async #take(owner: SeatOwner): Promise<Seat> {
    this.owners.push(owner);
    const call = (one: Call): Promise<Json> => {
      this.calls.push(one);
      return this.answer(one);
    };
    return { call, leave() {} };
  }
}

const entry = (data: string): { epoch: string; offset: number; data: string } => ({ epoch: 'e', offset: 1, data });

describe('tails over seats', () => {
  it('are opened and closed together when that happens in one turn, and opened again on a new seat, a thousand a call', async () => {
    const bench = new Bench();
    const { streams } = bench.engine;
    await bench.clock.advanceAsync(0);
    const tails = await Promise.all(Array.from({ length: 2_500 }, (_, i) => streams.tail(`s${i}`, () => {})));
    assert.deepEqual(bench.said, ['tail 1000', 'tail 1000', 'tail 500']);
    await Promise.all(tails.slice(0, 1_200).map((tail) => tail.close()));
    assert.deepEqual(bench.said, ['untail 1000', 'untail 200']);
    bench.owners[0].lost('gone');
    await bench.clock.advanceAsync(1_000);
    assert.equal(bench.engine.health().state, 'connected');
    assert.deepEqual(bench.said, ['tail 1000', 'tail 300']);
    await bench.engine.close();
  });

  it('share one opening; the last that closes ends it; listeners that throw harm nobody', async () => {
    const bench = new Bench();
    const { streams } = bench.engine;
    const got: string[] = [];
    const listen = (one: { readonly data: string }): void => void got.push(one.data);
    const bad = await streams.tail('s', () => assert.fail('on purpose'));
    const [one, two] = await Promise.all([streams.tail('s', listen), streams.tail('s', listen)]);
    bench.owners[0].entry('s', entry('a'));
    bench.owners[0].entry('other', entry('b'));
    await bad.close();
    await one.close();
    await one.close();
    bench.owners[0].entry('s', entry('c'));
    assert.deepEqual(got, ['a', 'a', 'c']);
    assert.ok(!bench.said.includes('untail 1'));
    const closing = two.close();
    const again = await streams.tail('s', listen);
    await closing;
    bench.owners[0].entry('s', entry('d'));
    assert.deepEqual(got, ['a', 'a', 'c', 'd']);
    assert.deepEqual(bench.said, ['tail 1'], 'what was closed and opened in one turn was not closed');
    await again.close();
    assert.deepEqual(bench.said, ['untail 1']);
    await bench.engine.close();
  });

  it('that cannot be opened reject, and are not opened later', async () => {
    const bench = new Bench();
    await bench.clock.advanceAsync(0);
    bench.answer = () => new Promise(() => {});
    const opening = assert.rejects(
      bench.engine.streams.tail('s', () => {}),
      { code: 'EVENKEEL_ENGINE_UNREACHABLE' },
    );
    await bench.clock.advanceAsync(4_000);
    await opening;
    bench.answer = async () => null;
    bench.calls.length = 0;
    bench.owners[0].lost('gone');
    await bench.clock.advanceAsync(1_000);
    assert.deepEqual(bench.said, []);
    await bench.engine.close();
  });

  it('append and claim are repeated on the next seat when a seat breaks under them', async () => {
    const bench = new Bench();
    await bench.clock.advanceAsync(0);
    bench.answer = () => Promise.reject(new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'broken'));
    const keep = { count: 1, ageMs: 1, metaMs: 1 };
    const appending = bench.engine.streams.append({ stream: 's', data: 'x', author: { kind: 'id', id: '1' }, keep });
    await bench.clock.advanceAsync(0);
    bench.answer = async () => ({ kind: 'repeat' });
    await bench.clock.advanceAsync(500);
    assert.deepEqual(await appending, { kind: 'repeat' });
    assert.deepEqual(bench.said, ['append', 'append']);
    await bench.engine.close();
  });
});
