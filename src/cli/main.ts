#!/usr/bin/env node
// The command `evenkeel`: hands the arguments to its sub-commands, and makes one line and an exit code of what went wrong.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EvenkeelError, type ErrorCode } from '../core/errors.ts';
import { demoCommand } from './commands/demo.ts';
import { fleetCommand } from './commands/fleet.ts';
import { gatewayCommand } from './commands/gateway.ts';
import { simCommand } from './commands/sim.ts';
import { swarmCommand } from './commands/swarm.ts';
import { mustName } from './must-name.ts';

/** What the user must correct, on the command line or around it, before anything can start; everything else failed while it ran. */
const BAD_USAGE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'EVENKEEL_BAD_OPTION',
  'EVENKEEL_BAD_CONFIG',
  'EVENKEEL_TOO_MANY_CLIENTS',
  'EVENKEEL_ENGINE_UNREACHABLE',
  'EVENKEEL_PORT_TAKEN',
]);

process.exitCode = await run(process.argv);

/** 0 done, 1 failed, 2 bad usage. */
async function run(argv: readonly string[]): Promise<number> {
  const program = new Command('evenkeel')
    .description('Keeps long-lived connections evenly spread over a fleet of servers.')
    .version(version())
    // One line on stderr, ours: commander's own would come on top of it.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const command of [demoCommand(), fleetCommand(), gatewayCommand(), simCommand(), swarmCommand()])
    program.addCommand(command.copyInheritedSettings(program));
  try {
    mustName(program, argv.slice(2));
    await program.parseAsync([...argv]);
    // A command that fails without an error has set it.
    return Number(process.exitCode ?? 0);
  } catch (error) {
    return failure(error);
  }
}

function failure(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    // What was probably meant is on a line of its own there.
    say(error.message.replaceAll('\n', ' '));
    return 2;
  }
  if (!EvenkeelError.is(error)) throw error;
  // A line for each mistake, as editors read them.
  if (error.code === 'EVENKEEL_BAD_CONFIG') process.stderr.write(`${error.message}\n`);
  else say(`error: ${error.message} (${error.code})`);
  return BAD_USAGE.has(error.code) ? 2 : 1;
}

function say(message: string): void {
  process.stderr.write(`${message.replaceAll('\n', ' ')}\n`);
}

function version(): string {
  const file = new URL('../../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}
