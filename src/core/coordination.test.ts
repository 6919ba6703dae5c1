// The brain against a toy fleet of counters: time to even, moves against the lower bound, and calm afterwards, also when
// records are late, lost or reordered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Coordination, type CoordinationPolicy, type Outlook } from './coordination.ts';
import { emptyView, observe, type NodeRecord, type View } from './membership.ts';
import { accept, allowance, Dealer, noOrder, spend, standingTerm, type Standing } from './order.ts';
import { paceDefaults } from './pace.ts';
import { planDefaults } from './planner.ts';
import { quietDefaults } from './quiet.ts';
import { below, seeded, type Random } from './random.ts';
import { steeringDefaults } from './steering.ts';

const policy: CoordinationPolicy = {
  plan: planDefaults,
  pace: paceDefaults,
  quiet: quietDefaults,
  steering: steeringDefaults,
  stepOut: true,
  balanceBy: 'connections',
  slowStartMs: 0,
  movesPerConnection: null,
};

interface ToyNode {
  id: string;
  weight: number;
  count: number;
  opened: number;
  shed: number;
  standing: Standing;
  /** When the balancer sees that it is out of rotation; null while it is in. */
  outSince: number | null;
  sequence: number;
}

interface ToyOptions {
  counts: number[];
  weights?: number[];
  directed?: boolean;
  stepOut?: boolean;
  checkS?: number;
  lagS?: number;
  seed?: number;
  loss?: number;
  delayS?: number;
  policy?: Partial<CoordinationPolicy>;
}

class ToyFleet {
  readonly nodes: ToyNode[];
  readonly #options: ToyOptions;
  readonly #random: Random;
  readonly #dealer = new Dealer();
  readonly #brain = new Coordination({ id: 'n1', term: 1, trial: { state: 'waiting' } });
  #view: View = emptyView(0);
  #now = 0;
  #flying: { at: number; target: string | null }[] = [];
  #records: { at: number; record: NodeRecord }[] = [];
  moves = 0;
  least = 0;
  outlook: Outlook | null = null;

  constructor(options: ToyOptions) {
    this.#options = options;
    this.#random = seeded(options.seed ?? 1);
    this.nodes = options.counts.map((count, i) => ({
      id: `n${i + 1}`, weight: options.weights?.[i] ?? 1, count, opened: count, shed: 0, standing: noOrder, outSince: null, sequence: 0,
    }));
    const goals = this.goals();
    this.least = this.nodes.reduce((sum, node, i) => sum + Math.max(0, node.count - goals[i]), 0);
  }

  goals(): number[] {
    const whole = this.nodes.reduce((sum, node) => sum + node.count, this.#flying.length);
    const weights = this.nodes.reduce((sum, node) => sum + node.weight, 0);
    return this.nodes.map((node) => (whole * node.weight) / weights);
  }

  get imbalance(): number {
    const goals = this.goals();
    return Math.max(...this.nodes.map((node, i) => node.count / goals[i]));
  }

  get whole(): number {
    return this.nodes.reduce((sum, node) => sum + node.count, this.#flying.length);
  }

  /** One second. */
  tick(): void {
    this.#now += 1000;
    for (const node of this.nodes) this.#publish(node);
    const due = this.#records.filter(({ at }) => at <= this.#now).map(({ record }) => record);
    this.#records = this.#records.filter(({ at }) => at > this.#now);
    this.#view = observe(this.#view, due, { now: this.#now, wall: this.#now });
    const { orders, outlook } = this.#brain.tick({ now: this.#now, view: this.#view, paused: false, policy: { ...policy, stepOut: this.#options.stepOut ?? false, ...this.#options.policy } });
    this.outlook = outlook;
    for (const node of this.nodes) {
      const order = orders.get(node.id);
      if (order === undefined || this.#random.next() < (this.#options.loss ?? 0)) continue;
      node.standing = accept(node.standing, order, this.#now);
      if (order.rotation === 'out') node.outSince ??= this.#now + this.#random.next() * (this.#options.checkS ?? 1) * 1000;
      else node.outSince = null;
    }
    for (let step = 0; step < 10; step++) this.#hundredMs(this.#now + step * 100);
  }

  #hundredMs(now: number): void {
    for (const node of this.nodes) {
      const order = node.standing.state === 'ordered' ? node.standing.order : null;
      if (order === null) continue;
      const turn = order.perS * 0.125;
      const whole = Math.floor(turn) + (this.#random.next() < turn - Math.floor(turn) ? 1 : 0);
      const told = Math.min(whole, Math.floor(allowance(node.standing, node.count, now)));
      node.standing = spend(node.standing, told);
      node.count -= told;
      node.shed += told;
      this.moves += told;
      for (let i = 0; i < told; i++) {
        const share = order.targets;
        const target = share.length === 0 ? null : (this.#dealer.deal(share) as { id: string }).id;
        this.#flying.push({ at: now + this.#random.next() * (this.#options.lagS ?? 1) * 1000, target });
      }
    }
    const landing = this.#flying.filter(({ at }) => at <= now);
    this.#flying = this.#flying.filter(({ at }) => at > now);
    const inside = this.nodes.filter((node) => node.outSince === null || node.outSince > now);
    for (const { target } of landing) {
      const node = target === null ? inside[below(this.#random, inside.length)] : (this.nodes.find(({ id }) => id === target) as ToyNode);
      node.count++;
      node.opened++;
    }
  }

  #publish(node: ToyNode): void {
    node.sequence++;
    if (this.#random.next() < (this.#options.loss ?? 0)) return;
    const at = this.#now + this.#random.next() * (this.#options.delayS ?? 0) * 1000;
    const record: NodeRecord = {
      id: node.id, incarnation: node.id, sequence: node.sequence, address: node.id, state: 'up', version: '1', startedAt: 0,
      connections: node.count, load: node.count, capacity: node.weight, unmovable: 0, admissionPerS: 2000,
      strain: { eventLoopDelayMs: 0, handshakeMs: 0, refusedPerS: 0 },
      totals: { opened: node.opened, shed: node.shed, drained: 0, closed: 0, bounced: 0, forced: 0 },
      rotation: 'in', term: standingTerm(node.standing), spent: node.standing.state === 'ordered' ? node.standing.shed : 0, drain: null, directed: this.#options.directed ?? false,
    };
    this.#records.push({ at, record });
  }
}

test('debug', () => {
  for (const [name, options] of Object.entries({
    steered: { counts: [5000, 0, 0, 0, 0], stepOut: true, checkS: 0.5 },
    directed: { counts: [5000, 0, 0, 0, 0], directed: true },
    lottery: { counts: [100000, 0, 0, 0, 0], policy: { pace: { ...paceDefaults, pacePerS: 2000 } } },
    big: { counts: [100000, 0, 0, 0, 0], stepOut: true, checkS: 5, lagS: 10, policy: { pace: { ...paceDefaults, pacePerS: 2000 } } },
    scale: { counts: [...Array(10).fill(1000), 0, 0, 0, 0, 0], stepOut: true },
    lossy: { counts: [5000, 0, 0, 0, 0], stepOut: true, loss: 0.2, delayS: 2 },
  } as Record<string, ToyOptions>)) {
    const fleet = new ToyFleet(options);
    let evenAt: number | null = null;
    let movesAt = 0;
    for (let s = 1; s <= 200; s++) {
      fleet.tick();
      if (name === 'big' && s > 3 && s < 75) console.log(s, fleet.outlook?.rebalancing, fleet.outlook?.reason, Math.round(fleet.outlook?.perS ?? 0), 'fly', fleet.outlook?.inFlight, fleet.nodes.map((n) => n.count + (n.outSince === null ? '' : '*')).join(' '), fleet.outlook?.sheds.map((x) => x.id + ':' + Math.round(x.count)).join());
      if (fleet.imbalance <= 1.05) { if (evenAt === null) { evenAt = s; movesAt = fleet.moves; } } else evenAt = null;
    }
    console.log(name, { evenAt, moves: fleet.moves, ratio: fleet.moves / fleet.least, movesAt, imbalance: fleet.imbalance, counts: fleet.nodes.map((n) => n.count).join(' '), reb: fleet.outlook?.rebalancing, whole: fleet.whole, eff: fleet.outlook?.effect.last });
  }
});
assert.ok(fc);
