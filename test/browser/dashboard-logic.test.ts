// The dashboard's pure files: the bounded window of samples, the plan's words, the event log, the way figures are written.
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { FakeFleet } from './fake-fleet.ts';
import type { FakeSnapshot } from './fake-demo.ts';

// Declared here, not imported: a type import would make the root build emit the page's sources into dist/dashboard.
interface Samples {
  readonly times: number[];
  readonly failuresPerS: (number | null)[];
  readonly target: (number | null)[];
  readonly ids: readonly string[];
  connectionsOf(id: string): (number | null)[];
  add(snapshot: FakeSnapshot): boolean;
  readonly failedByDeath: number;
  readonly failedOtherwise: number;
  clear(): void;
}
interface Entry {
  t: number;
  text: string;
}
interface Logic {
  readonly Samples: new (seconds?: number) => Samples;
  readonly planWords: (snapshot: Pick<FakeSnapshot, 'plan' | 'rebalancing' | 'imbalance'> | null) => {
    mood: string;
    state: string;
    detail: string;
    spoken: string;
  };
  readonly mergeEvents: (log: readonly Entry[], fresh: readonly Entry[]) => readonly Entry[];
  readonly count: (value: number | null | undefined) => string;
  readonly ratio: (value: number | null | undefined) => string;
  readonly rate: (value: number | null | undefined) => string;
  readonly clock: (seconds: number) => string;
  readonly evenTicks: (max: number, heightPx: number) => number[];
}

const sources = ['samples.ts', 'words.ts', 'events.ts', 'format.ts', 'views/even-scale.ts'];

/** Bundled by Vite as the page is: they are sources for browsers, and are not part of the root build. */
async function load(): Promise<Logic> {
  const parts = await Promise.all(
    sources.map(async (source) => {
      const entry = fileURLToPath(new URL(`../../../dashboard/src/${source}`, import.meta.url));
      const built = await build({
        configFile: false,
        logLevel: 'silent',
        build: { write: false, minify: false, lib: { entry, formats: ['es'], fileName: 'part' } },
      });
      const [bundle] = Array.isArray(built) ? built : [built];
      assert.ok('output' in bundle);
      const { code } = bundle.output[0];
      return (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as Partial<Logic>;
    }),
  );
  return Object.assign({}, ...parts) as Logic;
}

describe('dashboard logic', () => {
  let logic: Logic;
  const snapshot = (changes: Partial<FakeSnapshot>): FakeSnapshot => ({ ...new FakeFleet().snapshot(), ...changes });

  before(async () => {
    logic = await load();
  });

  it('keeps ten minutes of samples and no more', () => {
    const samples = new logic.Samples();
    for (let t = 0; t <= 2_000; t += 0.5) samples.add(snapshot({ t }));
    assert.equal(samples.times.length, 1_201);
    assert.equal(samples.times[0], 1_400);
    assert.equal(samples.connectionsOf('s1').length, 1_201);
    for (let t = 2_000; t < 2_100; t += 0.01) samples.add(snapshot({ t }));
    assert.ok(samples.times.length <= 1_500, 'bounded by count too, should the demo speak more often');
  });

  it('leaves repeats out, and gaps where a server is not listed', () => {
    const samples = new logic.Samples();
    const [first, ...others] = snapshot({}).servers;
    assert.equal(samples.add(snapshot({ t: 1, servers: others })), true);
    assert.equal(samples.add(snapshot({ t: 1 })), false);
    samples.add(snapshot({ t: 2, servers: [first] }));
    assert.deepEqual(samples.ids, ['s2', 's3', 's4', 's5', 's1']);
    assert.deepEqual(samples.connectionsOf('s1'), [null, first.connections]);
    assert.equal(samples.connectionsOf('s2')[1], null);
    samples.clear();
    assert.deepEqual([samples.times.length, samples.ids.length], [0, 0]);
  });

  it('counts failures per second, and tells those that a death explains from the others', () => {
    const samples = new logic.Samples();
    const [s1, ...others] = snapshot({}).servers;
    const tell = (t: number, state: 'up' | 'draining' | 'down', failedRequests: number): void =>
      void samples.add(snapshot({ t, failedRequests, servers: [{ ...s1, state }, ...others] }));
    tell(0, 'up', 4);
    tell(1, 'up', 4);
    tell(1.5, 'down', 9);
    tell(3, 'down', 12);
    assert.deepEqual(samples.failuresPerS, [0, 0, 10, 2]);
    assert.deepEqual([samples.failedByDeath, samples.failedOtherwise], [8, 0], 'what failed before the page knew the demo counts as neither');
    tell(20, 'draining', 12);
    tell(21, 'down', 15);
    assert.deepEqual([samples.failedByDeath, samples.failedOtherwise], [8, 3], 'a drain explains no failure');
  });

  it('finds words for every state of the plan', () => {
    const plan = { state: 'idle', reason: null, inFlight: 240, pacePerS: 133 } as const;
    const said = (changes: Partial<FakeSnapshot>): string => {
      const { mood, state, detail } = logic.planWords(snapshot({ imbalance: 1, plan, ...changes }));
      return `${mood}|${state}|${detail}`;
    };
    assert.equal(said({}), 'even|even|nothing to do');
    assert.equal(said({ imbalance: null }), 'even|even|nothing to do');
    assert.equal(said({ imbalance: 1.07 }), 'even|nearly even|within tolerance, nothing to do');
    assert.equal(said({ imbalance: 3 }), 'waiting|uneven|nothing planned yet');
    assert.equal(said({ plan: { ...plan, state: 'moving' } }), 'moving|moving|133/s, 240 in flight');
    assert.equal(said({ plan: { ...plan, state: 'moving' }, rebalancing: 'off' }), 'moving|moving|133/s, 240 in flight');
    assert.equal(said({ plan: { ...plan, state: 'waiting', reason: 'settling' } }), 'waiting|waiting|settling, servers came or went a moment ago');
    assert.equal(said({ plan: { ...plan, state: 'waiting', reason: 'new-reason' } }), 'waiting|waiting|new-reason');
    assert.equal(said({ plan: { ...plan, state: 'waiting', reason: 'paused' }, rebalancing: 'off' }), 'off|off|connections stay where they are');
    assert.equal(said({ plan: null }), 'unknown|no plan|nobody coordinates yet');
    assert.equal(logic.planWords(null).state, 'connecting');
    assert.equal(logic.planWords(snapshot({ plan: { ...plan, state: 'moving' } })).spoken, 'moving connections');
  });

  it('merges events once each, newest first, and bounded', () => {
    const [a, b, c] = [1, 2, 2].map((t, i) => ({ t, text: `event ${i}` }));
    const log = logic.mergeEvents([], [a, b]);
    assert.deepEqual(log, [b, a]);
    assert.deepEqual(logic.mergeEvents(log, [a, b, c]), [c, b, a]);
    assert.equal(logic.mergeEvents(log, [a, b]), log);
    const many = Array.from({ length: 500 }, (_, t) => ({ t, text: 'x' }));
    assert.equal(logic.mergeEvents([], many).length, 60);
    assert.equal(logic.mergeEvents([], many)[0].t, 499);
  });

  it('writes figures', () => {
    assert.deepEqual([0, 1_234, 9_999_999, 12_340_000, null, undefined, Number.NaN].map(logic.count), ['0', '1,234', '9,999,999', '12.3M', '–', '–', '–']);
    assert.deepEqual([1, 1.049, 9.999, 12.34, 250, null].map(logic.ratio), ['1.00', '1.05', '10.0', '12.3', '250', '–']);
    assert.deepEqual([0, 0.4, 1.4, null].map(logic.rate), ['0', '<1', '1', '–']);
    assert.deepEqual([0, 9.99, 75, 3_725, -3].map(logic.clock), ['0:00', '0:09', '1:15', '1:02:05', '0:00']);
  });

  it('keeps the ticks of the imbalance apart, and "even" always among them', () => {
    assert.deepEqual(logic.evenTicks(2, 140), [1.05, 1.2, 1.5, 2]);
    assert.ok(logic.evenTicks(5.4, 60).length < logic.evenTicks(5.4, 200).length);
    for (const height of [20, 60, 140]) assert.ok(logic.evenTicks(5.4, height).includes(1.05));
  });
});
