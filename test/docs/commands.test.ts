// The page of commands names every command, flag and key of the JSON that they print, and nothing that is gone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command, Option } from 'commander';
import { demoCommand } from '../../src/cli/commands/demo.ts';
import { fleetCommand } from '../../src/cli/commands/fleet.ts';
import { gatewayCommand } from '../../src/cli/commands/gateway.ts';
import { simCommand } from '../../src/cli/commands/sim.ts';
import { swarmCommand } from '../../src/cli/commands/swarm.ts';
import { Account, report } from '../../src/cli/swarm/account.ts';
import { readScenario } from '../../src/sim/scenario.ts';
import { simulate } from '../../src/sim/run.ts';
import { codeIn, firstColumn, membersOf, read, rowsOf, section, sectionsOf, sorted } from './pages.ts';

const page = read('docs/reference/commands.md');
const commands = [demoCommand(), fleetCommand(), gatewayCommand(), simCommand(), swarmCommand()];

/** Commands that do something, by how they are called. */
function leaves(command: Command, before: string): [string, Command][] {
  const name = `${before} ${command.name()}`;
  return command.commands.length === 0 ? [[name, command]] : command.commands.flatMap((child) => leaves(child, name));
}

const all = new Map(commands.flatMap((command) => leaves(command, 'evenkeel')));
const isOfAll = ({ long }: Option): boolean => ['--engine', '--fleet', '--json'].includes(long ?? '');

const flagRows = (title: string): (readonly string[])[] => rowsOf([section(page, title)], 'flag');

test('every command has its section, and no section is of a command that is gone', () => {
  const titles = sectionsOf(page)
    .map(({ title }) => title)
    .filter((title) => title.startsWith('evenkeel '));
  assert.deepEqual(sorted(titles), sorted([...all.keys(), 'evenkeel fleet']));
});

describe('every flag has its row with its default, and no row is of a flag that is gone', () => {
  for (const [name, command] of all) {
    test(name, () => {
      const options = name.startsWith('evenkeel fleet ') ? command.options.filter((option) => !isOfAll(option)) : command.options;
      mustAgree(options, flagRows(name));
    });
  }

  test('evenkeel fleet, the flags that all of its commands have', () => {
    const common = (command: Command): string[] => command.options.filter(isOfAll).map(({ flags }) => flags);
    for (const [name, command] of all) if (name.startsWith('evenkeel fleet ')) assert.equal(common(command).length, 3, name);
    mustAgree((all.get('evenkeel fleet status') as Command).options, flagRows('evenkeel fleet'));
  });
});

function mustAgree(options: readonly Option[], rows: readonly (readonly string[])[]): void {
  assert.deepEqual(sorted(firstColumn(rows)), sorted(options.map(({ flags }) => flags)));
  for (const { flags, defaultValue, mandatory } of options) {
    const [, cell] = rows.find(([first]) => codeIn(first)[0] === flags) ?? assert.fail(flags);
    if (mandatory) assert.equal(cell, 'required', flags);
    else if (typeof defaultValue === 'number') assert.equal(Number(cell.replaceAll(',', '')), defaultValue, flags);
    else if (typeof defaultValue === 'string' && defaultValue !== '') assert.equal(cell, `\`${defaultValue}\``, flags);
  }
}

const keysOf = (title: string): string[] => sorted(firstColumn(rowsOf([section(page, title)], 'key')));

describe('every key of the JSON has its row', () => {
  test('evenkeel demo', () => assert.deepEqual(keysOf('evenkeel demo'), sorted(membersOf('src/cli/demo/scenario.ts', 'DemoReport'))));

  test('evenkeel swarm', () => assert.deepEqual(keysOf('evenkeel swarm'), sorted(Object.keys(report(new Account(1).state, null)))));

  test('evenkeel gateway', () => assert.deepEqual(keysOf('evenkeel gateway'), sorted(membersOf('src/cli/gateway/configuration.ts', 'ListeningFacts'))));

  test('evenkeel sim', async () => {
    const scenario = readScenario({ name: 'short', durationS: 2, nodeCount: 2, clients: { count: 10, protocol: 'websocket' }, policy: { name: 'none' } });
    const run = await simulate(scenario, { wallS: () => 0 });
    assert.deepEqual(keysOf('evenkeel sim'), sorted(Object.keys(run.report)));
    assert.deepEqual(sorted(Object.keys(run.report.series)), ['imbalance', 'perNode', 'reconnectsPerS', 'tS']);
  });
});
