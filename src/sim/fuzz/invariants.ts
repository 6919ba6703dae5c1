// What must hold in every world, checked at every tick and at the end. A broken one is told with what was seen.
import type { Goodbye } from '../../core/goodbye.ts';
import { Doing } from '../crowd.ts';
import type { SimFleet } from '../fleet.ts';
import type { SimNode } from '../node.ts';
import type { World } from './world.ts';

export interface Violation {
  readonly invariant: string;
  readonly atS: number;
  readonly seen: string;
}

/** Rotation follows orders, and orders lapse after 5 s: a breach that lasts no longer than this is one that mends itself. */
const ROTATION_GRACE_S = 7;
/** No moves in this last stretch of an undisturbed fleet. */
const REST_S = 60;
const PACE_WINDOW_S = 10;

export class Invariants {
  readonly #fleet: SimFleet;
  readonly #world: World;
  readonly #terms = new Map<string, { start: number; term: number }>();
  readonly #told: number[] = [];
  readonly #pace: number[] = [];
  #toldNow = 0;
  #tooFewSinceS: number | null = null;
  #movesAtRest: number | null = null;
  readonly #startedEven: boolean;
  /** Most moves that evening out what the scenario begins with may take; null where faults or chance decide. */
  readonly #most: number | null;
  violation: Violation | null = null;

  constructor(fleet: SimFleet, world: World) {
    this.#fleet = fleet;
    this.#world = world;
    this.#startedEven = this.#beginsEven();
    this.#most = this.#mostMoves();
    fleet.onTold = (node, goodbye) => this.#checkTold(node, goodbye);
  }

  /** Once a second. */
  second(): void {
    this.#checkBooks();
    this.#checkTerms();
    this.#checkPace();
    this.#checkRotation();
    const { nowS, scenario, books } = this.#fleet;
    if (this.#movesAtRest === null && nowS >= scenario.durationS - REST_S) this.#movesAtRest = books.moves;
  }

  /** After the last second. */
  end(): void {
    const { books, nodes, crowd, scenario } = this.#fleet;
    const up = nodes.filter((node) => node.up && !node.draining);
    const weights = up.reduce((sum, node) => sum + node.weight, 0);
    for (const node of up) {
      const target = (crowd.count * node.weight) / weights;
      const noise = scenario.balancer.kind === 'directed' && scenario.clients.churnPerMinute === 0 ? 0 : chanceOf(up.length, target);
      // Resting ones cannot be moved again for five minutes: what a fault piled up late may stay.
      const allowed = target * (1 + Math.max(0.1, noise)) + 2 + (node.up ? node.life.choice.unmovable + node.life.choice.countIn(3) : 0);
      if (node.count > allowed) this.#broken('an undisturbed fleet becomes even', `${node.id} carries ${node.count}, target ${Math.round(target)}`);
    }
    const moved = books.moves - (this.#movesAtRest ?? books.moves);
    // Newcomers make a small fleet uneven again, and that is then rightly mended.
    if (moved > 0 && scenario.clients.churnPerMinute === 0) this.#broken('an even fleet plans nothing', `${moved} moves in the last ${REST_S} s`);
    if (this.#startedEven && books.moves > 0) this.#broken('what chance alone makes uneven is left alone', `${books.moves} moves`);
    if (this.#most !== null && books.moves > this.#most)
      this.#broken('hardly more moves than are needed', `${books.moves} moves, ${Math.round(this.#most)} allowed`);
    const leading = up.filter((node) => node.life.coordinator.leads).length;
    if (leading !== 1) this.#broken('exactly one node coordinates in the end', `${leading} lead`);
  }

  /** Whether the fleet begins as even as chance allows and nothing happens to it. */
  #beginsEven(): boolean {
    const { scenario, nodes, crowd } = this.#fleet;
    if (this.#world.faults.length > 0 || scenario.clients.churnPerMinute > 0 || typeof scenario.initial === 'object') return false;
    if (scenario.balancer.kind === 'directed' || scenario.policy.stepOut === true) return false;
    const target = crowd.count / nodes.length;
    return nodes.every((node) => node.count <= target * (1 + chanceOf(nodes.length, target)));
  }

  /** Directed and undisturbed, nobody needs to move but the excess; records that are a second old cost a little. */
  #mostMoves(): number | null {
    const { scenario, nodes, crowd } = this.#fleet;
    if (this.#world.faults.length > 0 || scenario.clients.churnPerMinute > 0 || scenario.balancer.kind !== 'directed') return null;
    const weights = nodes.reduce((sum, node) => sum + node.weight, 0);
    const least = nodes.reduce((sum, node) => sum + Math.max(0, node.count - (crowd.count * node.weight) / weights), 0);
    return 1.1 * least + 0.02 * crowd.count + 10;
  }

  /** Every client is somewhere, and the nodes' counts agree with the clients'. */
  #checkBooks(): void {
    const { crowd, nodes } = this.#fleet;
    const all = crowd.tally.reduce((sum, count) => sum + count, 0);
    if (all !== crowd.count) this.#broken('no connection is lost from the account', `${all} of ${crowd.count} clients`);
    const held = nodes.reduce((sum, node) => sum + node.count, 0);
    if (held !== crowd.tally[Doing.connected])
      this.#broken('no connection is lost from the account', `nodes hold ${held}, clients ${crowd.tally[Doing.connected]}`);
  }

  /** A node obeys the highest term it has seen, for as long as its process lives. */
  #checkTerms(): void {
    for (const node of this.#fleet.nodes) {
      if (!node.up) continue;
      const { retirement, clock } = node.life;
      const before = this.#terms.get(node.id);
      if (before !== undefined && before.start === clock.startedAt && retirement.term < before.term) {
        this.#broken("at most one coordinator's orders are obeyed", `${node.id} went from term ${before.term} back to ${retirement.term}`);
      }
      this.#terms.set(node.id, { start: clock.startedAt, term: retirement.term });
    }
  }

  #checkTold(node: SimNode, goodbye: Goodbye): void {
    if (goodbye.reason !== 'rebalance') return;
    this.#toldNow++;
    const { order } = node.life.retirement;
    // Called while the connection is still counted.
    if (order === null) this.#broken('nobody sheds without an order in force', node.id);
    else if (node.count - 1 < order.floor - 1e-6) this.#broken("no node sheds below its order's floor", `${node.id}: ${node.count - 1} < ${order.floor}`);
    this.#checkDepth(node);
  }

  /** In a fleet that was not disturbed lately nobody is driven below its true share: those in flight belong to the whole. */
  #checkDepth(node: SimNode): void {
    const { nowS, nodes, crowd, scenario } = this.#fleet;
    if (nowS < this.#world.calmFromS + 20 || nodes.some((other) => !other.up || other.draining)) return;
    const weights = nodes.reduce((sum, other) => sum + other.weight, 0);
    const target = (crowd.count * node.weight) / weights;
    // Records are a second old, and may be late or lost besides: moves of that time are not known.
    const unknownS = 3 + scenario.control.recordDelayS + 4 * scenario.control.recordReorder + 10 * scenario.control.recordLoss;
    const slack = 3 + 0.02 * target + (this.#lastPerS() * unknownS * node.weight) / weights;
    if (node.count < target - slack)
      this.#broken('no node is driven below its share', `${node.id} at ${node.count}, share ${Math.round(target)}, slack ${Math.round(slack)}`);
  }

  /** Goodbyes of a window never exceed what the coordinators allowed in it, with one more for a change of coordinator. */
  #checkPace(): void {
    this.#told.push(this.#toldNow);
    this.#toldNow = 0;
    this.#pace.push(this.#perS());
    const from = Math.max(0, this.#told.length - PACE_WINDOW_S);
    const told = this.#told.slice(from).reduce((sum, count) => sum + count, 0);
    const most = this.#pace.slice(Math.max(0, from - 6)).reduce((high, perS) => Math.max(high, perS), 0);
    const allowed = 2 * most * (PACE_WINDOW_S + 2) + 10;
    if (told > allowed) this.#broken('never more moves than the pace allows', `${told} in ${PACE_WINDOW_S} s, allowed ${Math.round(allowed)}`);
  }

  #perS(): number {
    return this.#fleet.nodes.reduce((most, node) => (node.up ? Math.max(most, node.life.coordinator.outlook?.perS ?? 0) : most), 0);
  }

  #lastPerS(): number {
    return this.#pace.slice(-10).reduce((most, perS) => Math.max(most, perS), this.#perS());
  }

  /** Half of the nodes, never fewer than two, stay in rotation, but for the moments in which membership changes. */
  #checkRotation(): void {
    const { nodes, nowS } = this.#fleet;
    const able = nodes.filter((node) => node.up && !node.paused && node.life.state === 'up');
    const inside = able.filter((node) => node.healthy).length;
    const enough = inside >= Math.min(able.length, Math.max(2, Math.ceil(able.length / 2)));
    this.#tooFewSinceS = enough ? null : (this.#tooFewSinceS ?? nowS);
    if (this.#tooFewSinceS !== null && nowS - this.#tooFewSinceS > ROTATION_GRACE_S) {
      this.#broken('stepping out leaves enough nodes in rotation', `${inside} of ${able.length} in rotation since ${this.#tooFewSinceS} s`);
    }
  }

  #broken(invariant: string, seen: string): void {
    this.violation ??= { invariant, atS: this.#fleet.nowS, seen };
  }
}

/** What chance alone does to the fullest of n nodes, written again: a judge does not ask the accused. */
function chanceOf(n: number, target: number): number {
  return (2 + Math.sqrt(2 * Math.log(n))) / Math.sqrt(target);
}
