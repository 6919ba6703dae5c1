// What it costs to choose an upstream, begin and end (at most 1 us for 16 of them), and whether it leaves garbage (round robin and
// least connections must not). Exits with 1 when a median is above its limit.
// Run: node dist/bench/gateway-upstreams.js [upstreams] [operations] [rounds]
import { PerformanceObserver } from 'node:perf_hooks';
import { realClock } from '../src/host/clock.ts';
import { realRandom } from '../src/host/random.ts';
import { silentLog } from '../src/core/log.ts';
import { isRefused, type Ask } from '../src/gateway/ports.ts';
import type { Algorithm, GroupSettings } from '../src/gateway/settings.ts';
import { discover } from '../src/gateway/upstreams/discovery/discover.ts';
import { UpstreamGroup } from '../src/gateway/upstreams/group.ts';
import { groupSettings } from '../test/gateway/fixture.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords, median } from './statistics.ts';

const [upstreams, operations, rounds] = numbersFrom(process.argv.slice(2), [16, 2_000_000, 9]);
const LIMIT_NS = 1_000;

let collections = 0;
new PerformanceObserver((list) => (collections += list.getEntries().length)).observe({ entryTypes: ['gc'] });

const breaker = { windowMs: 10_000, minRequests: 10, failureFraction: 0.5, openMs: 5_000 };

interface Case {
  readonly what: string;
  /** What each answer is said to have taken; reading the clock for it makes a number or two of garbage. */
  readonly latencyMs: number | null;
  readonly change: Partial<GroupSettings>;
  readonly frugal: boolean;
}

const plain = (['round-robin', 'least-connections', 'random', 'two-choices', 'hash'] as const).map((balance: Algorithm): Case => ({
  what: balance,
  latencyMs: balance === 'two-choices' ? 5 : null,
  change: { balance },
  frugal: balance === 'round-robin' || balance === 'least-connections',
}));
const cases: Case[] = [
  ...plain,
  { what: 'least-connections, maxActive', latencyMs: null, change: { balance: 'least-connections', maxActive: 100 }, frugal: true },
  { what: 'least-connections, breaker, answers timed', latencyMs: 5, change: { balance: 'least-connections', breaker }, frugal: false },
];

function open(change: Partial<GroupSettings>): UpstreamGroup {
  const ports = { clock: realClock, random: realRandom, log: silentLog };
  const list = Array.from({ length: upstreams }, (_, i) => ({ name: `u${i}`, address: { host: '127.0.0.1', port: 9000 + i }, weight: 1 }));
  return new UpstreamGroup(groupSettings({ ...change, discovery: [{ kind: 'list', upstreams: list }] }), {
    ...ports,
    open: discover({ ...ports, group: 'web' }),
    probe: () => ({ cancel() {} }),
  });
}

/** ns of CPU per choose, begin and end, with a few under way at any time. */
function round(group: UpstreamGroup, { ask, latencyMs }: { readonly ask: Ask; readonly latencyMs: number | null }, carried: ReturnType<typeof take>[]): number {
  const from = process.cpuUsage();
  for (let i = 0; i < operations; i++) {
    const slot = i & 31;
    carried[slot].end('ok', latencyMs);
    carried[slot] = take(group, ask);
  }
  const { user, system } = process.cpuUsage(from);
  return ((user + system) * 1_000) / operations;
}

function take(group: UpstreamGroup, ask: Ask): Exclude<ReturnType<UpstreamGroup['choose']>, { readonly refused: string }> {
  const choice = group.choose(ask);
  if (isRefused(choice)) throw new Error(choice.refused);
  choice.begin();
  return choice;
}

console.log(machine());
let bad = 0;
for (const { what, change, latencyMs, frugal } of cases) {
  const group = open(change);
  const ask: Ask = { key: change.balance === 'hash' ? '192.168.17.4' : null, sticky: null, without: null };
  const carried = Array.from({ length: 32 }, () => take(group, ask));
  // The compiler needs a few turns.
  round(group, { ask, latencyMs }, carried);
  await new Promise((resolve) => setTimeout(resolve, 50));
  collections = 0;
  const ns = Array.from({ length: rounds }, () => round(group, { ask, latencyMs }, carried));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const wrong = median(ns) > LIMIT_NS || (frugal && collections > 0);
  if (wrong) bad++;
  console.log(`${what.padEnd(40)} ${inWords(ns, 0).padEnd(22)} ns (limit ${LIMIT_NS}), ${collections} garbage collections${wrong ? '  TOO MUCH' : ''}`);
  group.close();
}
process.exitCode = bad === 0 ? 0 : 1;
