// How long the brain of a big fleet takes: one plan for 10,000 nodes (at most 10 ms), and the choice of 1,000 among 200,000
// connections of a node (at most 2 ms). Exits with 1 when a median is above its limit.
// Run: node dist/bench/planner.js [nodes] [connections] [picks] [rounds]
import type { FleetNode } from '../src/core/fleet.ts';
import { Choice, Links } from '../src/core/choose.ts';
import { plan, planDefaults, type Landing } from '../src/core/planner.ts';
import { below, seeded, type Random } from '../src/core/random.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { inWords, median } from './statistics.ts';

const [nodes, connections, picks, rounds] = numbersFrom(process.argv.slice(2), [10_000, 200_000, 1_000, 51]);

interface Row {
  readonly what: string;
  readonly ms: readonly number[];
  readonly limitMs: number;
}

/** CPU time, ms: on a shared machine the time on the wall is mostly that of the neighbours. */
function timed(once: () => void): number {
  const from = process.cpuUsage();
  once();
  const { user, system } = process.cpuUsage(from);
  return (user + system) / 1_000;
}

function planning(landing: Landing): Row {
  const random = seeded(1);
  const fleet = Array.from({ length: nodes }, (_, i): FleetNode => ({
    id: `node-${i}`,
    address: `10.0.0.${i}:443`,
    amount: below(random, 2_000),
    unmovable: below(random, 20),
    weight: 1 + below(random, 4),
    role: i % 500 === 0 ? 'draining' : 'up',
  }));
  const input = { nodes: fleet, inFlight: 1_000, landing, shedding: null, unit: 'connections', preferred: null } as const;
  return { what: `plan of ${nodes} nodes, ${landing}`, ms: Array.from({ length: rounds }, () => timed(() => plan(input, planDefaults))), limitMs: 10 };
}

/** A node whose connections have spoken in no order, so that neighbours in the list are far apart in memory. */
function used(random: Random): Choice {
  const choice = new Choice(new Links(connections));
  for (let slot = 0; slot < connections; slot++) choice.add(slot, { now: 0, asks: false, rests: false });
  for (let i = 0; i < connections; i++) choice.touch(below(random, connections), i);
  return choice;
}

function choosing(): Row {
  const random = seeded(2);
  const ms: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const choice = used(random);
    const told = (slot: number): boolean => {
      choice.remove(slot);
      return true;
    };
    ms.push(timed(() => choice.pick(picks, told)));
  }
  return { what: `choice of ${picks} of ${connections} connections`, ms, limitMs: 2 };
}

function sweeping(): Row {
  const choice = used(seeded(3));
  return {
    what: `sweep over ${connections} connections, nothing due`,
    ms: Array.from({ length: rounds }, (_, i) => timed(() => choice.sweep(i))),
    limitMs: 0.1,
  };
}

const rows = [...(['directed', 'steered', 'lottery'] as const).map(planning), choosing(), sweeping()];
console.log(`${machine()}; median of ${rounds} (least to most), ms of CPU time\n`);
console.log('| what | took | at most | |\n| --- | --- | --- | --- |');
for (const { what, ms, limitMs } of rows) console.log(`| ${what} | ${inWords(ms, 3)} | ${limitMs} | ${median(ms) <= limitMs ? 'met' : 'NOT MET'} |`);
process.exitCode = rows.every(({ ms, limitMs }) => median(ms) <= limitMs) ? 0 : 1;
