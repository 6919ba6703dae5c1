// A group under any order of traffic, failures, checks, operators, discovery and reloads: nobody is chosen who should not be, nobody is
// refused while somebody could take it, and no count is ever lost.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { listed, plain, stageGroup, told, upstreamAt, type GroupStage } from '../../../test/gateway/group-stage.ts';
import { alwaysAsync } from '../../../test/property.ts';
import { isRefused, type Upstream } from '../ports.ts';
import type { MemberUpstream } from './upstream.ts';

const names = ['a', 'b', 'c', 'd', 'e'];
const name = fc.constantFrom(...names);

const step = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constant('begin'), key: fc.constantFrom(null, 'alice', 'bob'), sticky: fc.option(name), without: fc.subarray(names) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('end'), which: fc.nat(), how: fc.constantFrom('ok', 'failed', 'failed', 'aborted'), timed: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('answered'), which: fc.nat() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('wait'), ms: fc.nat({ max: 8_000 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('ill'), name, ill: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('drain', 'disable', 'enable', 'remove', 'add'), name }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('weigh'), name, weight: fc.option(fc.constantFrom(0, 0.5, 1, 7)) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('discover'), named: fc.subarray(names), state: fc.constantFrom('up', 'out', 'draining') }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('reload'),
      balance: fc.constantFrom('round-robin', 'least-connections', 'random', 'two-choices', 'hash'),
      bare: fc.boolean(),
    }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What is carried, in the order in which it began, and how much by whom. */
interface Book {
  readonly carried: { readonly upstream: Upstream; answered: boolean }[];
  readonly everybody: Set<Upstream>;
}

const health = { path: null, intervalMs: 1_000, timeoutMs: 500, rise: 2, fall: 2 };
const breaker = { windowMs: 10_000, minRequests: 4, failureFraction: 0.5, openMs: 5_000 };
const rules = { health, breaker, ejection: { failures: 3, baseMs: 3_000, maxFraction: 0.5 }, maxActive: 4, slowStartMs: 4_000 };

function begin({ group }: GroupStage, book: Book, one: Extract<Step, { key: unknown }>): void {
  const without = new Set<Upstream>(group.upstreams.filter((upstream) => one.without.includes(upstream.name)));
  const most = group.settings.maxActive ?? Infinity;
  const able = (upstream: MemberUpstream): boolean => upstream.takes && upstream.active < most && !without.has(upstream);
  const someone = group.upstreams.some(able);
  const choice = group.choose({ ...plain, key: one.key, sticky: one.sticky, without: without.size === 0 ? null : without });
  assert.equal(isRefused(choice), !someone);
  if (isRefused(choice)) {
    assert.ok(choice.retryAfterS >= 1 && choice.retryAfterS < 1_000, `${choice.retryAfterS}`);
    return;
  }
  assert.ok(able(choice) && !choice.draining && choice.weight > 0 && ['up', 'warming', 'half-open'].includes(choice.state), choice.state);
  choice.begin();
  book.carried.push({ upstream: choice, answered: false });
}

function end(book: Book, one: Extract<Step, { how: unknown }>): void {
  if (book.carried.length === 0) return;
  const [{ upstream, answered }] = book.carried.splice(one.which % book.carried.length, 1);
  upstream.end(one.how, one.timed && !answered ? 7 : null);
}

async function take(stage: GroupStage, book: Book, one: Step): Promise<void> {
  const { group, clock, ill, sources } = stage;
  if ('key' in one) begin(stage, book, one);
  else if ('how' in one) end(book, one);
  else if ('which' in one) {
    const carried = book.carried.at(one.which % Math.max(1, book.carried.length));
    if (carried === undefined || carried.answered) return;
    carried.answered = true;
    carried.upstream.answered(9);
  } else if ('ms' in one) await clock.advanceAsync(one.ms);
  else if ('ill' in one) {
    if (one.ill) ill.set(one.name, 'ill');
    else ill.delete(one.name);
  } else if ('named' in one) sources.get('f')?.(one.named.map((name) => listed(name, one.state)));
  else if ('balance' in one) {
    group.update({
      ...group.settings,
      balance: one.balance,
      health: one.bare ? null : health,
      breaker: one.bare ? null : breaker,
      maxActive: one.bare ? null : 4,
    });
  } else operate(stage, one);
}

function operate({ group }: GroupStage, one: Exclude<Extract<Step, { name: string }>, { ill: boolean }>): void {
  const there = group.upstreams.some((upstream) => upstream.name === one.name);
  const act = (): void => {
    if ('weight' in one) group.weigh(one.name, one.weight);
    else if (one.do === 'add') group.add(upstreamAt(one.name));
    else group[one.do](one.name);
  };
  if (there === (one.do !== 'add')) act();
  else assert.throws(act, { code: there ? 'EVENKEEL_BAD_OPTION' : 'EVENKEEL_UNKNOWN_UPSTREAM' });
}

test('whatever happens in whatever order', async () => {
  await alwaysAsync(
    fc.array(step, { minLength: 1, maxLength: 120 }),
    async (steps) => {
      const stage = stageGroup({ ...rules, discovery: [told('f')] });
      const book: Book = { carried: [], everybody: new Set() };
      stage.sources.get('f')?.(['a', 'b', 'c'].map((name) => listed(name)));
      await stage.clock.advanceAsync(10);
      for (const one of steps) {
        await take(stage, book, one);
        for (const upstream of stage.group.upstreams) book.everybody.add(upstream);
        for (const upstream of book.everybody) {
          assert.equal(upstream.active, book.carried.filter((carried) => carried.upstream === upstream).length, upstream.name);
        }
        assert.equal(new Set(stage.group.upstreams.map(({ name }) => name)).size, stage.group.upstreams.length);
      }
      stage.group.close();
      assert.equal(stage.clock.nextAt(), Infinity, 'no timer is left');
    },
    150,
  );
});
