// What an engine over seats does when seats break, on virtual time and with made-up seats: waits, repeats, gives up in
// time, pauses longer and longer, and is not fooled by its own sleep.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { silentLog } from '../core/log.ts';
import type { Engine, Json } from './engine.ts';
import { JoinedEngine } from './joined.ts';
import { startPulse } from './pulse.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';

const broken = (): EvenkeelError => new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'broken');
const never = (): Promise<never> => new Promise(() => {});

const benches = new Set<Bench>();
// A call under way keeps the process alive, and virtual time has stopped when a test fails.
afterEach(async () => {
  for (const bench of benches) await bench.engine.close();
  benches.clear();
});

/** An engine whose seats answer as `answer` says, and which are refused while `shut` is true. */
class Bench {
  readonly clock = new VirtualClock();
  readonly calls: string[] = [];
  readonly takenAt: number[] = [];
  readonly owners: SeatOwner[] = [];
  left = 0;
  shut: boolean;
  answer: (call: Call) => Promise<Json> = async () => null;
  readonly engine: Engine;

  constructor(shut = false) {
    this.shut = shut;
    benches.add(this);
    // Chance is held at its most: each pause is whole.
    const random = { next: () => 1 };
    const take = (owner: SeatOwner): Promise<Seat> => this.#take(owner);
    this.engine = new JoinedEngine({
      kind: 'bench',
      name: 'bench',
      clock: this.clock,
      random,
      log: silentLog,
      timeoutMs: 2_000,
      takeMs: 2_500,
      pauseMs: 2_000,
      take,
    });
  }

  async #take(owner: SeatOwner): Promise<Seat> {
    this.takenAt.push(this.clock.now());
    if (this.shut) throw broken();
    this.owners.push(owner);
    const call = (one: Call): Promise<Json> => {
      this.calls.push('inbox' in one ? `${one.do} ${one.inbox}` : one.do);
      return this.answer(one);
    };
    return { call, leave: () => void this.left++ };
  }
}

/** What became of a promise, readable without waiting. */
function outcome<T>(promise: Promise<T>): { value: T | string } {
  const state: { value: T | string } = { value: 'pending' };
  promise.then(
    (value) => (state.value = value),
    (error: EvenkeelError) => (state.value = error.code),
  );
  return state;
}

describe('an engine over seats', () => {
  it('repeats a call on the next seat, but never sends a message twice', async () => {
    const bench = new Bench();
    await bench.clock.advanceAsync(0);
    bench.answer = () => Promise.reject(broken());
    const got = outcome(bench.engine.get('k'));
    await bench.clock.advanceAsync(0);
    bench.answer = async () => 'answer';
    await bench.clock.advanceAsync(500);
    assert.equal(got.value, 'answer');
    bench.answer = () => Promise.reject(broken());
    const sent = outcome(bench.engine.send('a', 1));
    await bench.clock.advanceAsync(0);
    assert.equal(sent.value, 'EVENKEEL_ENGINE_UNREACHABLE');
    await bench.clock.advanceAsync(3_000);
    assert.deepEqual(bench.calls, ['get', 'get', 'send']);
  });

  it('rejects at the time limit: with a seat that is silent, and without a seat', async () => {
    const bench = new Bench();
    await bench.clock.advanceAsync(0);
    bench.answer = never;
    const silent = outcome(bench.engine.get('k'));
    await bench.clock.advanceAsync(1_999);
    assert.equal(silent.value, 'pending');
    await bench.clock.advanceAsync(1);
    assert.equal(silent.value, 'EVENKEEL_ENGINE_UNREACHABLE');
    assert.equal(bench.engine.health().state, 'connected', 'one slow call is no reason to give up the seat');
    bench.shut = true;
    bench.owners[0].lost('gone');
    const waiting = outcome(bench.engine.get('k'));
    await bench.clock.advanceAsync(2_000);
    assert.equal(waiting.value, 'EVENKEEL_ENGINE_UNREACHABLE');
  });

  it('pauses longer and longer, up to the limit, and shortly again after a steady time', async () => {
    const bench = new Bench(true);
    await bench.clock.advanceAsync(9_000);
    assert.deepEqual(bench.takenAt.slice(0, 7), [0, 200, 600, 1_400, 3_000, 5_000, 7_000]);
    bench.shut = false;
    await bench.clock.advanceAsync(8_000);
    bench.takenAt.length = 0;
    bench.owners[0].lost('gone');
    const lostAt = bench.clock.now();
    await bench.clock.advanceAsync(500);
    assert.deepEqual(bench.takenAt, [lostAt + 100]);
  });

  it('opens its inboxes on every new seat before anybody hears of it, and leaves the old seat', async () => {
    const bench = new Bench();
    await bench.engine.receive('a', () => {});
    const b = await bench.engine.receive('b', () => {});
    await bench.engine.receive('a', () => {});
    await b.close();
    bench.calls.length = 0;
    const told: string[][] = [];
    bench.engine.onHealth(({ state }) => told.push([state, ...bench.calls]));
    bench.owners[0].lost('gone');
    bench.owners[0].lost('gone again');
    await bench.clock.advanceAsync(1_000);
    assert.deepEqual(told, [['unreachable'], ['connected', 'open a']]);
    assert.equal(bench.left, 1);
  });

  it('gives up a seat that is lost, or too slow, while it is being taken', async () => {
    const bench = new Bench();
    await bench.engine.receive('a', () => {});
    bench.answer = never;
    bench.owners[0].lost('gone');
    await bench.clock.advanceAsync(300);
    assert.equal(bench.owners.length, 2);
    await bench.clock.advanceAsync(2_500);
    assert.ok(bench.owners[1].signal.aborted);
    bench.answer = async () => null;
    await bench.clock.advanceAsync(1_000);
    assert.equal(bench.engine.health().state, 'connected');
    bench.owners[1].lost('a seat of long ago');
    assert.equal(bench.engine.health().state, 'connected');
  });

  it('rejects what is under way when it is closed, and sets no timer afterwards', async () => {
    const bench = new Bench();
    await bench.clock.advanceAsync(0);
    bench.answer = never;
    const seated = outcome(bench.engine.get('k'));
    await bench.clock.advanceAsync(0);
    await bench.engine.close();
    await bench.clock.advanceAsync(0);
    assert.equal(seated.value, 'EVENKEEL_ENGINE_CLOSED');
    const other = new Bench(true);
    const waiting = outcome(other.engine.get('k'));
    await other.clock.advanceAsync(50);
    await other.engine.close();
    await other.clock.advanceAsync(0);
    assert.equal(waiting.value, 'EVENKEEL_ENGINE_CLOSED');
    for (const { clock } of [bench, other]) assert.equal(clock.nextAt(), Infinity);
  });
});

describe('the pulse', () => {
  it('is lost after the silent ticks, and only then', () => {
    const clock = new VirtualClock();
    let lost = 0;
    startPulse({ clock, tickMs: 250, silentTicks: 5, ping: never, lost: () => lost++ });
    clock.advance(1_499);
    assert.equal(lost, 0);
    clock.advance(1);
    assert.equal(lost, 1);
    clock.advance(5_000);
    assert.equal(lost, 1);
  });

  it('goes on as long as pings are answered, also late ones', async () => {
    const clock = new VirtualClock();
    let lost = 0;
    const ping = (): Promise<void> => new Promise((resolve) => void clock.after(1_200, resolve));
    const timer = startPulse({ clock, tickMs: 250, silentTicks: 5, ping, lost: () => lost++ });
    await clock.advanceAsync(20_000);
    assert.equal(lost, 0);
    timer.cancel();
  });
});
