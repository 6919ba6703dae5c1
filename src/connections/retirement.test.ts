// Who is told to go on one node, and when: drains first, then orders, then ages, spread over time and out of one budget.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Choice, choiceDefaults, Links } from '../core/choose.ts';
import { VirtualClock } from '../core/clock.ts';
import type { DrainPolicy } from '../core/drain.ts';
import type { Goodbye } from '../core/goodbye.ts';
import type { Order } from '../core/order.ts';
import { seeded } from '../core/random.ts';
import { Retirement } from './retirement.ts';

interface Told extends Goodbye {
  readonly slot: number;
  readonly atMs: number;
}

function herd(options: { readonly told?: number; readonly asking?: number; readonly goodbyesPerS?: number; readonly weight?: number } = {}) {
  const { told = 0, asking = 0, goodbyesPerS = 500, weight = 1 } = options;
  const clock = new VirtualClock();
  const choice = new Choice(new Links(Math.max(1, told + asking)), choiceDefaults);
  for (let slot = 0; slot < told + asking; slot++) choice.add(slot, { now: 0, asks: slot >= told, rests: false, weight });
  const goodbyes: Told[] = [];
  const stubborn = new Set<number>();
  const say = (slot: number, goodbye: Goodbye): void => {
    choice.remove(slot);
    goodbyes.push({ ...goodbye, slot, atMs: clock.now() });
  };
  const tell = (slot: number, goodbye: Goodbye): boolean => {
    if (stubborn.has(slot)) return false;
    say(slot, goodbye);
    return true;
  };
  const retirement = new Retirement({ clock, random: seeded(1), goodbyesPerS, herd: { choice, load: () => choice.weight, tell } });
  /** The client in `slot` sends a request, and goes if it is told so. */
  const ask = (slot: number, due: Parameters<Retirement['ask']>[1] = null): Goodbye | null => {
    const goodbye = retirement.ask(slot, due);
    if (goodbye !== null) say(slot, goodbye);
    return goodbye;
  };
  retirement.start();
  return { clock, choice, retirement, goodbyes, stubborn, ask };
}

let sequence = 0;
const order = (changes: Partial<Order> = {}): Order => ({
  term: 1,
  sequence: ++sequence,
  coordinator: 'a',
  plan: '1.1',
  unit: 'connections',
  floor: 0,
  target: 0,
  credit: 1e9,
  perS: 100,
  heaviest: 1e9,
  rotation: 'in',
  targets: [],
  ...changes,
});
const drain: DrainPolicy = { deadlineMs: 30_000, noticeMs: 5_000, settleMs: 5_000 };
const reasons = (goodbyes: readonly Told[]): string[] => [...new Set(goodbyes.map(({ reason }) => reason))];

test('without an order nobody is told', () => {
  const { clock, goodbyes, ask } = herd({ told: 10, asking: 10 });
  clock.advance(10_000);
  assert.equal(ask(15), null);
  assert.equal(goodbyes.length, 0);
});

test('an order is carried out at its pace, spread over the second, down to the floor', () => {
  const { clock, goodbyes, retirement } = herd({ told: 1_000 });
  for (let s = 0; s < 10; s++) {
    retirement.obey(order({ floor: 700, credit: 100 * (s + 1), perS: 100 }));
    clock.advance(1_000);
    if (s > 1) continue;
    assert.equal(goodbyes.length, 100 * (s + 1));
    const perTick = Array.from({ length: 10 }, (_, i) => goodbyes.filter(({ atMs }) => Math.ceil(atMs / 100) === 10 * s + i + 1).length);
    assert.ok(Math.max(...perTick) <= 25, perTick.join(' '));
  }
  assert.equal(goodbyes.length, 300);
  assert.deepEqual([goodbyes[0].reason, goodbyes[0].plan, goodbyes[0].target], ['rebalance', '1.1', null]);
});

test('never beyond the credit, however high the pace; what was spent is reported under its term', () => {
  const { clock, goodbyes, retirement } = herd({ told: 1_000 });
  retirement.obey(order({ credit: 37, perS: 500 }));
  clock.advance(3_000);
  assert.deepEqual([goodbyes.length, retirement.spent, retirement.term], [37, 37, 1]);
  retirement.obey(order({ term: 2, credit: 5 }));
  assert.deepEqual([retirement.spent, retirement.term], [0, 2]);
  clock.advance(3_000);
  assert.deepEqual([goodbyes.length, retirement.spent], [42, 5]);
});

test('an order that is not renewed is void after five seconds', () => {
  const { clock, goodbyes, retirement } = herd({ told: 10_000 });
  retirement.obey(order({ perS: 10 }));
  clock.advance(60_000);
  assert.equal(retirement.order, null);
  assert.ok(goodbyes.length >= 50 && goodbyes.length <= 65, String(goodbyes.length));
});

test('slow orders are not lost to rounding: one a second is one a second', () => {
  const { clock, goodbyes, retirement } = herd({ told: 100 });
  for (let s = 1; s <= 60; s++) {
    retirement.obey(order({ perS: 1, credit: s }));
    clock.advance(1_000);
  }
  assert.ok(goodbyes.length >= 55 && goodbyes.length <= 60, String(goodbyes.length));
});

test('clients are sent where the order says, by their shares', () => {
  const { clock, goodbyes, retirement } = herd({ told: 1_000 });
  const targets = [
    { id: 'x', address: 'x:80', share: 0.75 },
    { id: 'y', address: 'y:80', share: 0.25 },
  ];
  retirement.obey(order({ credit: 100, targets }));
  clock.advance(3_000);
  const to = (id: string): number => goodbyes.filter(({ target }) => target?.id === id).length;
  assert.ok(Math.abs(to('x') - 75) <= 2 && Math.abs(to('y') - 25) <= 2);
});

test('HTTP/1.1: whoever asks next takes the credit, until there is none', () => {
  const { clock, goodbyes, retirement, ask } = herd({ asking: 100 });
  retirement.obey(order({ credit: 3, perS: 100 }));
  clock.advance(1_000);
  assert.equal(goodbyes.length, 0, 'nobody is told unless it asks');
  const told = Array.from({ length: 20 }, (_, slot) => ask(slot)).filter((goodbye) => goodbye !== null);
  assert.equal(told.length, 3);
});

test('HTTP/1.1: the pace holds for those who ask, too', () => {
  const { clock, goodbyes, retirement, ask } = herd({ asking: 1_000 });
  for (let ms = 0; ms < 10_000; ms += 100) {
    if (ms % 1_000 === 0) retirement.obey(order({ perS: 8 }));
    clock.advance(100);
    for (let i = 0; i < 10; i++) ask(ms / 10 + i);
  }
  assert.ok(goodbyes.length >= 80 && goodbyes.length <= 110, String(goodbyes.length));
});

test('where some are told and some ask, both kinds get their share', () => {
  const { clock, goodbyes, retirement, ask, choice } = herd({ told: 500, asking: 500 });
  for (let s = 0; s < 20; s++) {
    retirement.obey(order({ perS: 20, credit: 20 * (s + 1) }));
    for (let i = 0; i < 10; i++) {
      clock.advance(100);
      for (let slot = 500; slot < 1_000; slot += 10) if (choice.links.list[slot] !== 0) ask(slot);
    }
  }
  const asked = goodbyes.filter(({ slot }) => slot >= 500).length;
  assert.ok(asked > 0.1 * goodbyes.length && asked < 0.9 * goodbyes.length, `${asked} of ${goodbyes.length}`);
});

test('pinned and resting ones are not told when they ask', () => {
  const { clock, choice, retirement, ask } = herd({ asking: 3 });
  choice.pin(0, true, 0);
  choice.remove(1);
  choice.add(1, { now: 0, asks: true, rests: true });
  retirement.obey(order());
  clock.advance(1_000);
  assert.deepEqual([ask(0), ask(1), ask(2)?.reason], [null, null, 'rebalance']);
});

test('a drain tells those that rest from a move as well, long before its deadline', () => {
  const { clock, choice, retirement, goodbyes } = herd({ told: 1 });
  choice.remove(0);
  choice.add(0, { now: 0, asks: false, rests: true });
  retirement.beginDrain(drain);
  clock.advance(drain.deadlineMs - drain.settleMs - 100);
  assert.deepEqual(
    goodbyes.map(({ reason }) => reason),
    ['drain'],
  );
});

test('one with bytes to be sent stays, and costs no credit', () => {
  const { clock, goodbyes, stubborn, retirement } = herd({ told: 3 });
  stubborn.add(0);
  retirement.obey(order({ credit: 2 }));
  clock.advance(2_000);
  assert.deepEqual(
    goodbyes.map(({ slot }) => slot),
    [1, 2],
  );
});

test('by load it spends load: few heavy ones, none heavier than half of the gap', () => {
  const { clock, choice, goodbyes, retirement } = herd({ told: 4 });
  [10, 3, 2, 1].forEach((weight, slot) => choice.weigh(slot, weight, 0));
  retirement.obey(order({ unit: 'load', floor: 11, credit: 5, heaviest: 4 }));
  clock.advance(2_000);
  assert.deepEqual(
    goodbyes.map(({ slot }) => slot),
    [1, 2],
  );
  assert.equal(retirement.spent, 5);
});

test('by load one who asks goes if it is light enough and there is credit for all of it', () => {
  const { clock, choice, retirement, ask } = herd({ asking: 3 });
  [10, 3, 2].forEach((weight, slot) => choice.weigh(slot, weight, 0));
  retirement.obey(order({ unit: 'load', credit: 4, heaviest: 4 }));
  clock.advance(1_000);
  assert.deepEqual([ask(0), ask(1)?.reason, ask(2)], [null, 'rebalance', null]);
});

test('a drain waits out its notice, tells everybody by its settle time, and comes before orders', () => {
  const { clock, goodbyes, retirement } = herd({ told: 2_000 });
  retirement.beginDrain(drain);
  for (let s = 0; s < 30; s++) {
    retirement.obey(order());
    clock.advance(1_000);
    if (s === 4) assert.ok(goodbyes.length <= 15, 'nobody is told during the notice, and no burst follows it');
    if (s === 8) assert.ok(goodbyes.length > 400 && goodbyes.length < 800, String(goodbyes.length));
  }
  assert.equal(goodbyes.length, 2_000);
  assert.deepEqual(reasons(goodbyes), ['drain']);
  assert.ok((goodbyes.at(-1)?.atMs ?? 0) <= 25_100);
});

test('a drain says where it stands, and its rate is bounded by the budget of the node', () => {
  const { clock, retirement } = herd({ told: 100_000, goodbyesPerS: 500 });
  assert.deepEqual([retirement.phase, retirement.drain], [null, null]);
  retirement.beginDrain(drain);
  clock.advance(6_000);
  assert.deepEqual([retirement.phase, retirement.drain], ['goodbyes', { remainingMs: 24_000, perS: 500 }]);
  retirement.endDrain();
  assert.equal(retirement.phase, null);
});

test('draining: those who ask are told at the pace, and all of them from the settle time on', () => {
  const { clock, ask, retirement } = herd({ asking: 100 });
  retirement.beginDrain(drain);
  clock.advance(4_000);
  assert.equal(ask(0), null);
  clock.advance(2_000);
  assert.equal(ask(0)?.reason, 'drain');
  clock.advance(19_000);
  assert.ok(Array.from({ length: 99 }, (_, i) => ask(i + 1)).every((goodbye) => goodbye?.reason === 'drain'));
});

test('an age that is due waits for its turn; requests are counted exactly', () => {
  const { ask } = herd({ asking: 50, goodbyesPerS: 10 });
  const byAge = Array.from({ length: 20 }, (_, slot) => ask(slot, 'max-age')).filter((goodbye) => goodbye !== null);
  assert.equal(byAge.length, 5);
  const byRequests = Array.from({ length: 20 }, (_, i) => ask(20 + i, 'max-requests')).filter((goodbye) => goodbye !== null);
  assert.equal(byRequests.length, 20);
});

test('one budget: what drains and orders say is not left for ages', () => {
  for (const begin of [(of: Retirement) => of.beginDrain({ ...drain, noticeMs: 0 }), (of: Retirement) => of.obey(order({ perS: 1e6 }))]) {
    const { clock, retirement, goodbyes } = herd({ told: 5_000, goodbyesPerS: 100 });
    begin(retirement);
    let ages = 0;
    for (let ms = 0; ms < 3_000; ms += 10) {
      clock.advance(10);
      if (retirement.mayAge()) ages++;
    }
    assert.ok(goodbyes.length >= 250, `${goodbyes.length} by order or drain`);
    assert.ok(goodbyes.length + ages <= 100 * 3 + 50, `${goodbyes.length} and ${ages} by age`);
  }
});

test('stopped, it tells nobody any more', () => {
  const { clock, goodbyes, retirement } = herd({ told: 100 });
  retirement.obey(order());
  retirement.stop();
  clock.advance(5_000);
  assert.equal(goodbyes.length, 0);
});
