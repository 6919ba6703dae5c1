// `evenkeel gateway`: a front door for servers in any language, from a configuration or a few flags.
import { Command } from 'commander';
import { showAddress } from '../../core/address.ts';
import { gatewayJsonSchema } from '../../gateway/config/index.ts';
import type { GatewayFlags } from '../../gateway/config/flags.ts';
import { realClock } from '../../host/clock.ts';
import { logLevels, type LogLevel } from '../../host/log.ts';
import { freshTicketKeys, realRandom } from '../../host/random.ts';
import { readNodeOptions } from '../../node/options.ts';
import { badFlag, oneOf, wholeNumber } from '../arguments.ts';
import { readSettings, type Configuration, type ConfigurationSource, type ListeningFacts } from '../gateway/configuration.ts';
import { renewals } from '../gateway/renewals.ts';
import { superviseGateway } from '../gateway/supervisor.ts';

interface Flags extends Partial<Omit<GatewayFlags, 'listen' | 'to'>> {
  readonly config?: string;
  readonly listen?: string;
  readonly to?: string;
  readonly workers: number;
  readonly log: LogLevel;
  readonly check?: boolean;
  readonly schema?: boolean;
  readonly json?: boolean;
}

const MORE = `
SIGHUP reads the configuration again, SIGUSR2 replaces the processes, SIGTERM and SIGINT drain, a second one ends at once.
A configuration with mistakes is refused with a line for each, FILE:LINE:COLUMN; a gateway that runs goes on with what it has.`;

/** What stands in a configuration, too; the rest is of the command. */
const instead = ['listen', 'to', 'protocol', 'balance', 'health', 'maxRequests', 'fleet', 'engine', 'admin'] as const;

export function gatewayCommand(): Command {
  return new Command('gateway')
    .description('A front door that places connections well, keeps them even, and outlives the servers behind it.')
    .option('--config <file>', 'the configuration, YAML')
    .option('--listen <addresses>', 'instead of a configuration: where clients come in, HOST:PORT or :PORT, several with commas')
    .option('--to <addresses>', 'the servers behind, HOST:PORT, several with commas')
    .addOption(oneOf('--protocol <name>', ['http', 'tcp'], 'what clients speak; http unless told otherwise'))
    .addOption(
      oneOf(
        '--balance <name>',
        ['round-robin', 'least-connections', 'random', 'two-choices'],
        'who gets the next one; least-connections unless told otherwise',
      ),
    )
    .option('--health <path>', 'a path that healthy servers answer with 2xx or 3xx, or tcp')
    .option('--max-requests <n>', 'requests after which a client connection ends', wholeNumber('--max-requests', { min: 0, max: 1_000_000_000 }))
    .option('--fleet <name>', 'the fleet of gateways that this one belongs to')
    .option('--engine <url>', 'where that fleet meets: local, local:NAME, redis[s]://... or redis[s]+sentinel://...')
    .option('--admin <address>', 'where the admin API is served, a port of this machine')
    .option('--workers <n>', 'processes that serve', wholeNumber('--workers', { min: 1, max: 64 }), 1)
    .addOption(oneOf('--log <level>', logLevels, 'least level of what is logged on standard error').default('warn'))
    .option('--check', 'checks the configuration and does nothing else')
    .option('--schema', 'prints the JSON Schema of a configuration, with descriptions and defaults')
    .option('--json', 'one JSON object on standard output once it listens')
    .addHelpText('after', MORE)
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  if (flags.schema === true) return print(JSON.stringify(gatewayJsonSchema(), null, 2));
  const source = sourceOf(flags);
  const { log, workers } = flags;
  if (flags.check === true) return check(flags, source);
  const how = await superviseGateway<Configuration>({
    module: new URL('../gateway/serve.js', import.meta.url),
    workers,
    read: () => new Promise((resolve) => resolve({ settings: readSettings(source), source, log, workers })),
    renewals: (before, after) => renewals(before.settings, after.settings),
    drainLimitMs: ({ settings }) => readNodeOptions(settings.node).drain.deadlineMs + LATE_MS,
    listening: (facts) => print(flags.json === true ? JSON.stringify(facts) : said(facts as ListeningFacts)),
    say: (line) => void process.stderr.write(`${line}\n`),
    clock: realClock,
    random: realRandom,
    freshTicketKeys,
  });
  if (how === 'ended') process.exitCode = 1;
}

/** A drain that is this much over its deadline hangs. */
const LATE_MS = 10_000;

function sourceOf(flags: Flags): ConfigurationSource {
  if (flags.config !== undefined) {
    const both = instead.find((name) => flags[name] !== undefined);
    if (both !== undefined)
      throw badFlag(`--${both.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, 'given without --config, which says it', 'both');
    return { kind: 'file', path: flags.config };
  }
  if (flags.listen === undefined) throw badFlag('--config', 'the path of a configuration, or --listen and --to be given', 'nothing');
  if (flags.to === undefined) throw badFlag('--to', 'given with --listen', 'nothing');
  const { listen, to, protocol, balance, health, maxRequests, fleet, engine, admin } = flags;
  return { kind: 'flags', flags: { listen: listOf(listen), to: listOf(to), protocol, balance, health, maxRequests, fleet, engine, admin } };
}

const listOf = (text: string): string[] => text.split(',').map((part) => part.trim());

function check(flags: Flags, source: ConfigurationSource): void {
  const { listeners, groups, routes } = readSettings(source);
  if (flags.json === true)
    return print(
      JSON.stringify({
        listeners: listeners.map(({ listen, protocol }) => ({ listen: showAddress(listen), protocol })),
        groups: [...groups.keys()],
        routes: routes.length,
      }),
    );
  print(`the configuration is right: ${listeners.length} listeners, ${groups.size} groups, ${routes.length} routes`);
}

function said({ listeners, admin }: ListeningFacts): string {
  const lines = listeners.map(({ listen, protocol }) => `listening on ${listen} (${protocol})`);
  return [...lines, ...(admin === null ? [] : [`admin API at ${admin}`])].join('\n');
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
