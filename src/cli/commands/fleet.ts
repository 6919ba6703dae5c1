// `evenkeel fleet ...`: looks at a fleet and commands it through its engine, from any machine that reaches it. It never
// becomes part of the fleet, and of the local engine it is a guest only.
import { Command } from 'commander';
import { FleetControl } from '../../admin/control.ts';
import { pauseMinutes, type Fleet } from '../../admin/source.ts';
import { Operator } from '../../cluster/operator.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import type { Engine } from '../../engine/engine.ts';
import { localEngine } from '../../engine/local.ts';
import { openEngine } from '../../engine/open.ts';
import { Wakelock } from '../../engine/wakelock.ts';
import { realClock } from '../../host/clock.ts';
import { freshName, realRandom } from '../../host/random.ts';
import { PAGE_ROWS } from '../../node/verbs.ts';
import { badFlag, positiveNumber, wholeNumber } from '../arguments.ts';
import { connectionsText, planText, settingsText, statusText } from './fleet-text.ts';

export function fleetCommand(): Command {
  // Sub-commands inherit this when they are made, which is before whoever mounts them can say so: errors are thrown,
  // and nothing is printed or ended here.
  const fleet = new Command('fleet')
    .description('look at a running fleet and command it')
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  add(fleet, 'status', 'nodes, connections, capacities, targets and what rebalancing does').action(run((control) => control.status(), statusText));
  add(fleet, 'plan', "the coordinator's plan as it stands, carried out or not").action(run((control) => control.plan(), planText));
  addConnections(fleet);
  addRebalance(fleet);
  add(fleet, 'drain', 'empty a node; its process ends when that is done')
    .argument('<node>', 'id of the node')
    .option('--keep-running', 'leave the process running and empty until `undrain`', false)
    .action(
      run(
        (control, flags, node) => control.drain(node, flags['keepRunning'] === true),
        ({ node, connections, keepRunning }) =>
          `draining ${node}: ${connections} connections; its process ${keepRunning ? 'goes on' : 'ends when it is empty'}\n`,
      ),
    );
  add(fleet, 'undrain', 'take a drain back: the node receives again')
    .argument('<node>', 'id of the node')
    .action(
      run(
        (control, _, node) => control.undrain(node),
        ({ node }) => `${node} receives again\n`,
      ),
    );
  addPin(fleet, 'pin');
  addPin(fleet, 'unpin');
  addLimits(fleet);
  return fleet;
}

type Flags = Readonly<Record<string, unknown>>;

/** The engine of a fleet, and how to speak of it when it cannot be reached. */
interface Target {
  readonly engine: Engine;
  readonly nobody: string | null;
}

/** A command with the flags that all of them have. */
function add(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .option('--engine <url>', 'where the fleet meets: local, local:NAME, redis[s]://... or redis[s]+sentinel://...', 'local')
    .option('--fleet <name>', 'name of the fleet', 'default')
    .option('--json', 'one JSON object on standard output', false);
}

function addConnections(fleet: Command): void {
  add(fleet, 'connections', 'a page of the table of connections')
    .option('--node <id>', 'of this node only')
    .option('--offset <n>', 'rows to skip', wholeNumber('--offset', { min: 0, max: 1e9 }), 0)
    .option('--limit <n>', 'rows to show', wholeNumber('--limit', { min: 1, max: PAGE_ROWS }), 100)
    .option('--filter <text>', 'only those whose address, user, protocol or id contains this', '')
    .action(
      run((control, flags) => {
        const { offset, limit, filter } = flags as { offset: number; limit: number; filter: string };
        return control.connections({ node: (flags['node'] as string | undefined) ?? null, offset, limit, filter });
      }, connectionsText),
    );
}

function addRebalance(fleet: Command): void {
  const rebalance = fleet.command('rebalance').description('start, pause or stop rebalancing; drains go on in any case');
  add(rebalance, 'start', 'rebalance whenever the fleet is uneven').action(run((control) => control.rebalancing({ state: 'on' }), settingsText));
  add(rebalance, 'pause', 'rebalance nothing for some time')
    .option('--minutes <n>', 'how long', positiveNumber('--minutes', { min: pauseMinutes.least, max: pauseMinutes.most }), pauseMinutes.usual)
    .action(run((control, flags) => control.rebalancing({ state: 'paused', minutes: flags['minutes'] as number }), settingsText));
  add(rebalance, 'stop', 'rebalance nothing until `rebalance start`').action(run((control) => control.rebalancing({ state: 'off' }), settingsText));
}

function addPin(fleet: Command, name: 'pin' | 'unpin'): void {
  add(fleet, name, name === 'pin' ? 'never move this connection; the deadline of a drain ends it all the same' : 'the connection may be moved again')
    .argument('<id>', 'NODE/NUMBER, as `fleet connections` shows it')
    .action(
      run(
        (control, _, id) => control.pin(id, name === 'pin'),
        ({ id, pinned }) => `${id} is ${pinned ? 'pinned' : 'not pinned any more'}\n`,
      ),
    );
}

function addLimits(fleet: Command): void {
  add(fleet, 'limits', 'show or set what holds for the whole fleet')
    .option('--pace-per-s <n>', 'moves per second for the whole fleet', positiveNumber('--pace-per-s', { min: 0.001, max: 1_000_000 }))
    .option('--no-pace', 'back to what the nodes were configured with')
    .action(
      run((control, flags) => {
        const pacePerS = flags['pacePerS'] as number | undefined;
        if (flags['pace'] === false && pacePerS !== undefined) throw badFlag('--pace-per-s', 'given without --no-pace', 'both');
        if (flags['pace'] === false) return control.limits(null);
        return pacePerS === undefined ? control.settings() : control.limits(pacePerS);
      }, settingsText),
    );
}

/** The action of a command: reach the fleet, ask, print for people or machines, let go of the engine. */
function run<T extends object>(
  ask: (control: Fleet, flags: Flags, argument: string) => Promise<T>,
  text: (answer: T, wall: number) => string,
): (...args: unknown[]) => Promise<void> {
  return async (...args) => {
    const command = args.at(-1) as Command;
    const flags: Flags = command.opts();
    const answer = await withFleet(flags, (control) => ask(control, flags, command.args[0] ?? ''));
    process.stdout.write(flags['json'] === true ? `${JSON.stringify(answer)}\n` : text(answer, realClock.wallTime()));
  };
}

async function withFleet<T>(flags: Flags, ask: (control: Fleet) => Promise<T>): Promise<T> {
  const fleet = flags['fleet'] as string;
  if (!/^[\w.:@-]{1,200}$/.test(fleet)) throw badFlag('--fleet', '1 to 200 letters, digits and . : @ _ -', fleet);
  const { engine, nobody } = open(flags['engine'] as string, fleet);
  const operator = new Operator({ engine, clock: realClock, fleet, name: freshName() });
  // While an answer is awaited nothing else keeps the process alive.
  const wakelock = new Wakelock();
  wakelock.take();
  try {
    return await ask(new FleetControl({ operator, clock: realClock, fleet, own: null }));
  } catch (error) {
    if (nobody !== null && EvenkeelError.is(error) && error.code === 'EVENKEEL_ENGINE_UNREACHABLE') throw new EvenkeelError(error.code, nobody, error);
    throw error;
  } finally {
    // Takes the operator's inbox with it.
    await engine.close();
    wakelock.close();
  }
}

function open(address: string, fleet: string): Target {
  const log = silentLog;
  if (address === 'memory') throw badFlag('--engine', 'one that other processes reach (local, local:NAME, redis://...)', address);
  if (address !== 'local' && !address.startsWith('local:'))
    return { engine: openEngine(address, { fleet, clock: realClock, random: realRandom, log }), nobody: null };
  const name = address === 'local' ? fleet : address.slice('local:'.length);
  return {
    engine: localEngine({ name, role: 'join', clock: realClock, random: realRandom, log }),
    nobody: `a fleet must run on this machine under the local engine '${name}', got none: start a node, or name another fleet with --fleet or --engine`,
  };
}
