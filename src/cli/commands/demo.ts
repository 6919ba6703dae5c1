// `evenkeel demo`: the reference problem for real, on this machine; live with a page, or headless with figures.
import { Command } from 'commander';
import { below } from '../../core/random.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { realClock } from '../../host/clock.ts';
import { fileLimit, outgoingPorts } from '../../host/limits.ts';
import { realRandom } from '../../host/random.ts';
import { badFlag, oneOf, wholeNumber } from '../arguments.ts';
import { Demo, type DemoPorts } from '../demo/demo.ts';
import { FINISH_S } from '../demo/evenness.ts';
import { runLive } from '../demo/live.ts';
import { balancerPolicies, demoProtocols, mustFit, type BalancerPolicy, type DemoOptions, type DemoProtocol } from '../demo/options.ts';
import { runScenario, type DemoReport } from '../demo/scenario.ts';
import { onInterrupt } from '../interrupt.ts';

interface DemoFlags {
  readonly servers: number;
  readonly clients: number;
  readonly protocol: DemoProtocol;
  readonly heartbeatMs: number;
  readonly balancer: BalancerPolicy;
  readonly rebalance: 'on' | 'off';
  readonly engine: string;
  readonly seed?: number;
  readonly port: number;
  readonly headless?: boolean;
  readonly json?: boolean;
}

const MORE = `
Without --headless a page shows it live, and you kill and start servers there.
With --headless all servers but one are killed (SIGKILL) once every client is connected, and started again
once the survivor has all clients. t = 0 is when the last of them passes the balancer's health check. It ends
10 s after the fleet became even, or at 120 s. Connections are counted by the balancer, not by the fleet.
timeToEvenS: from when it stays even until the end. movesAfterEven: moves later than ${FINISH_S} s after that (the plan
that made it even has so long to finish). failedWhileRebalancing: requests that failed after t = 0.`;

export function demoCommand(): Command {
  return new Command('demo')
    .description('the problem and its solution on this machine: server processes, a layer-4 balancer, and clients')
    .option('--servers <n>', 'server processes', wholeNumber('--servers', { min: 2, max: 20 }), 5)
    .option('--clients <n>', 'clients', wholeNumber('--clients', { min: 1, max: 1_000_000 }), 2_000)
    .addOption(oneOf('--protocol <name>', demoProtocols, 'what the clients speak').default('http'))
    .option('--heartbeat-ms <n>', 'time between two heartbeats of a client', wholeNumber('--heartbeat-ms', { min: 50, max: 30_000 }), 1_000)
    .addOption(oneOf('--balancer <policy>', balancerPolicies, 'how the balancer picks a server').default('random'))
    .addOption(oneOf('--rebalance <on|off>', ['on', 'off'], 'whether the fleet evens itself out').default('on'))
    .option('--engine <engine>', 'what the servers share: local, or redis://HOST:PORT', engineAddress, 'local')
    .option('--seed <n>', 'for the dice of the balancer and the choice of the survivor; default: any', wholeNumber('--seed', { min: 0, max: 4_294_967_295 }))
    .option('--headless', 'no page: run the reference problem once and print the figures')
    .option('--json', 'with --headless: one JSON object on standard output, and nothing else')
    .option('--port <n>', 'of the page', wholeNumber('--port', { min: 1, max: 65_535 }), 7_070)
    .addHelpText('after', MORE)
    .action(run);
}

function engineAddress(text: string): string {
  if (text !== 'local' && !/^rediss?(\+sentinel)?:\/\/./.test(text))
    throw badFlag('--engine', "'local' or redis://HOST:PORT", text.replace(/\/\/.*@/s, '//***@'));
  return text;
}

async function run(flags: DemoFlags): Promise<void> {
  if (flags.json === true && flags.headless !== true) throw badFlag('--json', 'used with --headless', 'no --headless');
  const files = fileLimit();
  mustFit(flags.clients, { files, ports: outgoingPorts() });
  const { servers, clients, protocol, heartbeatMs, balancer, rebalance, engine } = flags;
  const seed = flags.seed ?? below(realRandom, 2 ** 32);
  const options: DemoOptions = { servers, clients, protocol, heartbeatMs, balancer, rebalance, engine, seed };
  const ports: DemoPorts = { clock: realClock, random: realRandom, files };
  if (flags.headless === true) await headless(options, ports, flags.json === true);
  else await runLive(options, ports, { port: flags.port, say });
}

async function headless(options: DemoOptions, ports: DemoPorts, json: boolean): Promise<void> {
  using interrupt = onInterrupt();
  // A Demo under way when the signal comes is closed by what waits for it below.
  await using demo = await Demo.start(options, ports);
  const failed = new Promise<never>((_, reject) => void demo.onFailure((error: EvenkeelError) => reject(error)));
  const stopped = interrupt.happened.then((signal) => {
    throw new EvenkeelError('EVENKEEL_LIMIT', `the demo was ended by ${signal} before it was done`);
  });
  // What went wrong is worth knowing also where only the figures are wanted.
  const trouble = (line: string): void => void process.stderr.write(`${line}\n`);
  const report = await Promise.race([runScenario(demo, json ? () => {} : say, trouble), failed, stopped]);
  say(json ? JSON.stringify(report) : table(report));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function table(report: DemoReport): string {
  const { perServer, ...figures } = report;
  const lines = Object.entries(figures).map(([name, value]) => `${name.padEnd(24)}${value === null ? '-' : String(value)}`);
  return [...lines, ...perServer.map(({ id, connections }) => `${`connections of ${id}`.padEnd(24)}${connections}`)].join('\n');
}
