// What the command itself says where words lead to no command: one line on standard error and exit code 2; help only where it is asked for.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { command } from './command.ts';

const all = 'demo, fleet, gateway, sim, swarm';

test('without a command, or with one that is none, it says what there is in one line', async () => {
  const bad: readonly (readonly [string, ...string[]])[] = [
    [`evenkeel must be followed by one of ${all}, or --help, got nothing`],
    [`evenkeel must be followed by one of ${all}, or --help, got doctor`, 'doctor', '--help'],
    [`evenkeel must be followed by one of ${all}, or --help, got doctor`, 'help', 'doctor'],
    [`evenkeel must be followed by one of ${all}, or --help, got --`, '--'],
    ['evenkeel fleet rebalance must be followed by one of start, pause, stop, or --help, got halt', 'fleet', 'rebalance', 'halt', '--json'],
  ];
  for (const [line, ...args] of bad)
    assert.deepEqual(await command(...args), { code: 2, stdout: '', stderr: `error: ${line} (EVENKEEL_BAD_OPTION)\n` }, args.join(' '));
});

test('help that is asked for is shown, with exit code 0', async () => {
  for (const args of [
    ['--help'],
    ['help'],
    ['fleet', '--help'],
    ['help', 'fleet'],
    ['fleet', 'help', 'rebalance'],
    ['fleet', 'rebalance', '-h'],
    ['swarm', '--help'],
  ]) {
    const { code, stdout, stderr } = await command(...args);
    assert.deepEqual([code, stderr], [0, ''], args.join(' '));
    assert.match(stdout, /^Usage: evenkeel /);
  }
});
