// What happens to the fleet and when: the scenario's events, and a roll as a small machine of its own.
import type { Measure } from './measure.ts';
import type { SimFleet } from './fleet.ts';
import type { SimNode } from './node.ts';
import type { Scenario, ScenarioEvent } from './scenario.ts';

/** A drain has this long unless the policy says otherwise: the library's default. */
const DRAIN_S = 30;
/** A process that is rolled comes back after this unless the event says otherwise. */
const RESTART_S = 10;

type Roll =
  | { readonly state: 'none' }
  | { readonly state: 'draining'; readonly index: number; readonly restartS: number }
  | { readonly state: 'down'; readonly index: number; readonly restartS: number; readonly untilS: number };

export class Events {
  readonly #fleet: SimFleet;
  readonly #measure: Measure;
  readonly #drainMs: number;
  readonly #pending: ScenarioEvent[];
  /** Nodes that start again by themselves. */
  readonly #restarts: { readonly atS: number; readonly node: SimNode }[] = [];
  readonly #drains: { readonly node: SimNode; readonly untilS: number }[] = [];
  #roll: Roll = { state: 'none' };

  constructor(scenario: Scenario, fleet: SimFleet, measure: Measure) {
    this.#fleet = fleet;
    this.#measure = measure;
    this.#pending = [...scenario.events];
    this.#drainMs = (scenario.policy.drainS ?? DRAIN_S) * 1000;
    for (const event of scenario.events)
      measure.lastEventS = Math.max(measure.lastEventS, event.atS + (event.do === 'crash' || event.do === 'pause' ? (event.restartS ?? 0) : 0));
  }

  /** Carries out what is due. Called before every step. */
  run(): void {
    const { nowS } = this.#fleet;
    if (this.#pending.length > 0 && this.#pending[0].atS <= nowS) {
      const before = this.#measure.excess();
      while (this.#pending.length > 0 && this.#pending[0].atS <= nowS) this.#do(this.#pending.shift() as ScenarioEvent);
      this.#measure.raise(before);
    }
    this.#runRestarts(nowS);
    this.#runDrains(nowS);
    this.#runRoll(nowS);
  }

  #do(event: ScenarioEvent): void {
    const fleet = this.#fleet;
    if (event.do === 'engine-down' || event.do === 'engine-up') {
      fleet.control.down = event.do === 'engine-down';
      return;
    }
    if (event.do === 'add') {
      fleet.addNode({ id: event.node ?? `n${fleet.nodes.length + 1}`, weight: 1, acceptPerS: fleet.scenario.acceptPerS });
      return;
    }
    if (event.do === 'roll') {
      this.#beginRoll(0, event.restartS ?? RESTART_S);
      return;
    }
    const node = fleet.find(event.node as string);
    if (event.do === 'start') node.start();
    else if (event.do === 'pause') node.pause((event.restartS ?? RESTART_S) * 1000);
    else if (event.do === 'drain') this.#drain(node);
    else this.#end(node, event);
  }

  #end(node: SimNode, event: ScenarioEvent): void {
    if (!node.up) return;
    if (event.do === 'stop') this.#fleet.cut(node);
    else this.#fleet.loseClients(node);
    if (event.do === 'stop') node.stop();
    else node.crash();
    if (event.restartS !== undefined) this.#restarts.push({ atS: event.atS + event.restartS, node });
  }

  #drain(node: SimNode): void {
    node.drain(this.#drainMs);
    this.#drains.push({ node, untilS: this.#fleet.nowS + this.#drainMs / 1000 });
  }

  #runRestarts(nowS: number): void {
    for (const restart of this.#restarts.filter(({ atS }) => atS <= nowS)) {
      const before = this.#measure.excess();
      restart.node.start();
      this.#measure.raise(before);
      this.#restarts.splice(this.#restarts.indexOf(restart), 1);
    }
  }

  /** At a drain's deadline whoever is left is cut. */
  #runDrains(nowS: number): void {
    for (const drain of this.#drains.filter(({ untilS }) => untilS <= nowS)) {
      if (drain.node.up && drain.node.draining) this.#fleet.cut(drain.node);
      this.#drains.splice(this.#drains.indexOf(drain), 1);
    }
  }

  #beginRoll(index: number, restartS: number): void {
    const node = this.#fleet.nodes[index];
    const before = this.#measure.excess();
    this.#drain(node);
    this.#measure.raise(before);
    this.#roll = { state: 'draining', index, restartS };
  }

  /** One node after the other: empty it, end it, start it again, go on to the next once it is up. */
  #runRoll(nowS: number): void {
    const roll = this.#roll;
    if (roll.state === 'none') return;
    const node = this.#fleet.nodes[roll.index];
    this.#measure.lastEventS = Math.max(this.#measure.lastEventS, nowS);
    if (roll.state === 'draining') {
      if (node.up && node.count > 0) return;
      node.stop();
      this.#roll = { ...roll, state: 'down', untilS: nowS + roll.restartS };
    } else if (nowS >= roll.untilS) {
      const before = this.#measure.excess();
      node.start();
      this.#measure.raise(before);
      if (roll.index + 1 < this.#fleet.nodes.length) this.#beginRoll(roll.index + 1, roll.restartS);
      else this.#roll = { state: 'none' };
    }
  }
}
