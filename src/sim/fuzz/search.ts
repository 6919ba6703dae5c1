// Runs worlds and looks for one in which an invariant breaks; makes what it found small.
import { firstFind, type Find } from '../first-find.ts';
import { LEASE } from '../../cluster/messages.ts';
import { SimFleet } from '../fleet.ts';
import { readScenario } from '../scenario.ts';
import { Invariants, type Violation } from './invariants.ts';
import { worldOf, type Fault, type World } from './world.ts';

/** One world from its beginning to its end, or to the first broken invariant; null: all held. */
export async function runWorld(world: World): Promise<Violation | null> {
  const scenario = readScenario(world.scenario);
  const fleet = new SimFleet(scenario, world.links);
  fleet.place();
  const invariants = new Invariants(fleet, world);
  const acts = world.faults.flatMap((fault) => actsOf(fault, fleet)).sort((a, b) => a.atS - b.atS);
  const steps = scenario.durationS * 10;
  while (fleet.step < steps && invariants.violation === null) {
    while (acts.length > 0 && acts[0].atS <= fleet.nowS) acts.shift()?.act();
    await fleet.advance();
    if (fleet.step % 10 === 0) invariants.second();
  }
  if (invariants.violation === null) invariants.end();
  return invariants.violation;
}

interface Act {
  readonly atS: number;
  readonly act: () => void;
}

/** A fault as what happens at its beginning and at its end. */
function actsOf(fault: Fault, fleet: SimFleet): Act[] {
  const { atS } = fault;
  const { control } = fleet;
  switch (fault.kind) {
    case 'crash':
      return [
        { atS, act: () => crash(fleet, fault.node) },
        { atS: atS + fault.restartS, act: () => fleet.find(fault.node).start() },
      ];
    case 'pause':
      return [{ atS, act: () => fleet.find(fault.node).pause(fault.forS * 1000) }];
    case 'partition':
      return [
        { atS, act: () => void control.cut.add(fault.node) },
        { atS: atS + fault.forS, act: () => void control.cut.delete(fault.node) },
      ];
    case 'outage':
      return [
        { atS, act: () => void (control.down = true) },
        { atS: atS + fault.forS, act: () => void (control.down = false) },
      ];
    case 'slow':
      return [
        { atS, act: () => fleet.find(fault.node).slow(0.05) },
        { atS: atS + fault.forS, act: () => fleet.find(fault.node).slow(1) },
      ];
    case 'skew':
      return [{ atS, act: () => fleet.find(fault.node).skew(fault.byS * 1000) }];
    case 'lease-loss':
      return [{ atS, act: () => control.loseLease(LEASE) }];
    case 'drain':
      return [
        { atS, act: () => fleet.find(fault.node).drain(20_000) },
        { atS: atS + 20, act: () => end(fleet, fault.node) },
        { atS: atS + 20 + fault.restartS, act: () => fleet.find(fault.node).start() },
      ];
  }
}

function crash(fleet: SimFleet, id: string): void {
  const node = fleet.find(id);
  if (!node.up) return;
  fleet.loseClients(node);
  node.crash();
}

/** The drain's deadline: cut what is left, and end the process. */
function end(fleet: SimFleet, id: string): void {
  const node = fleet.find(id);
  if (!node.up || !node.draining) return;
  fleet.cut(node);
  node.stop();
}

export type Found = Find<World, Violation>;

/** The first find from `seed` on; null when `enough` says so first. */
export const search = (seed: number, enough: (runs: number) => boolean): Promise<Found | null> => firstFind({ of: worldOf, run: runWorld }, seed, enough);

/** The same violation with fewer faults: leaves out one after the other as long as it still breaks. */
export async function shrink(found: Found): Promise<Found> {
  let small = found;
  for (let i = small.world.faults.length - 1; i >= 0; i--) {
    const world = { ...small.world, faults: small.world.faults.filter((_, j) => j !== i) };
    const violation = await runWorld(world);
    if (violation?.invariant === found.violation.invariant) small = { world, violation };
  }
  const plain = { ...small.world, links: { recordDuplicate: 0, orderLoss: 0, orderDuplicate: 0, orderDelayS: 0 } };
  const violation = await runWorld(plain);
  return violation?.invariant === found.violation.invariant ? { world: plain, violation } : small;
}
