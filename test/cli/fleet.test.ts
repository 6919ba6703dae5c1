// `evenkeel fleet` against real node processes on the local engine: what it shows, what it does, and how it fails.
import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConnectionsPage } from '../../src/admin/source.ts';
import type { FleetStatus } from '../../src/cluster/operator.ts';
import { until } from '../engines/until.ts';
import { noRedis, RedisServer } from '../redis-server.ts';

const NODE = fileURLToPath(new URL('fleet-node.js', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));
/** Names of local engines hold for the whole machine. */
const FLEET = `cli-test-${process.pid}`;

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function cli(...args: string[]): Promise<Run> {
  const child = spawn(process.execPath, [MAIN, 'fleet', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', err: '' };
  child.stdout.on('data', (chunk: Buffer) => void (texts.out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => void (texts.err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...texts };
}

/** A command on the test's fleet that must succeed, as text. */
async function shown(...args: string[]): Promise<string> {
  const { code, out, err } = await cli(...args, '--fleet', FLEET);
  assert.deepEqual([code, err], [0, ''], args.join(' '));
  return out;
}

/** The same as JSON: one object, and nothing else on standard output. */
const told = async <T>(...args: string[]): Promise<T> => JSON.parse(await shown(...args, '--json')) as T;

/** A command that must fail with one line on standard error, and nothing on standard output. */
async function fails(code: number, message: RegExp, ...args: string[]): Promise<void> {
  const run = await cli(...args);
  assert.deepEqual([run.code, run.out], [code, ''], `${args.join(' ')}: ${run.err}`);
  assert.match(run.err, /^[^\n]+\n$/);
  assert.match(run.err, message);
}

describe('evenkeel fleet', () => {
  const nodes = new Map<string, ChildProcess>();
  const addresses = new Map<string, string>();
  before(async () => {
    for (const [id, clients] of [
      ['n1', 5],
      ['n2', 2],
    ] as const) {
      const child = fork(NODE, [FLEET, id, String(clients)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      nodes.set(id, child);
      const [address] = (await once(child, 'message')) as [string];
      addresses.set(id, address);
    }
  });
  after(async () => {
    for (const child of nodes.values()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'close');
    }
  });

  it('status shows the nodes, as the contract has it', async () => {
    let status: FleetStatus | null = null;
    await until(
      'both nodes are coordinated',
      async () => {
        status = await told<FleetStatus>('status');
        return status.nodes.map(({ connections }) => connections).join() === '5,2' && status.nodes.every(({ target }) => target !== null);
      },
      10_000,
    );
    assert.ok(status !== null);
    const { fleet, imbalance, rebalancing, coordinator, nodes: listed } = status as FleetStatus;
    assert.deepEqual(
      [fleet, typeof imbalance, typeof rebalancing, listed.map(({ id, connections }) => [id, connections])],
      [
        FLEET,
        'number',
        'string',
        [
          ['n1', 5],
          ['n2', 2],
        ],
      ],
    );
    assert.ok(coordinator !== null && nodes.has(coordinator));
    for (const key of ['id', 'address', 'state', 'version', 'startedAt', 'connections', 'capacity', 'target', 'load', 'strain'])
      assert.ok(key in listed[0], key);
    const lines = (await shown('status')).split('\n');
    assert.match(lines[0], new RegExp(`^fleet ${FLEET}: imbalance \\d\\.\\d{3}, rebalancing .+, coordinator n[12]$`));
    assert.match(lines[2], /^NODE {2}STATE {2}ROTATION {2}CONNECTIONS {2}CAPACITY {2}TARGET /);
    assert.match(lines[3], /^n1 +up +in +5 +3 +\d+ /);
    assert.deepEqual(
      listed.map(({ capacity }) => capacity),
      [3, 3],
    );
  });

  it('the admin API of a node shows the same', async () => {
    const response = await fetch(`${addresses.get('n2')}/api/status`);
    assert.deepEqual(Object.keys((await response.json()) as object), Object.keys(await told<object>('status')));
  });

  it('rebalance starts, pauses and stops it, for all and until further notice', async () => {
    assert.match(await shown('rebalance', 'pause', '--minutes', '2'), /^rebalancing: paused for another 2 min\npace: as configured on the nodes\n$/);
    assert.equal((await told<FleetStatus>('status')).rebalancing, 'paused');
    assert.deepEqual(await told('rebalance', 'start'), { rebalancing: { state: 'on' }, pacePerS: null });
    assert.deepEqual(await told('rebalance', 'stop'), { rebalancing: { state: 'off' }, pacePerS: null });
    assert.equal((await told<FleetStatus>('status')).rebalancing, 'off');
  });

  it('plan shows what would move while nothing moves', async () => {
    const plan = await told<{ fleet: string; plan: string | null; reason: string; sheds: { node: string }[] }>('plan');
    assert.deepEqual([plan.fleet, plan.plan], [FLEET, null]);
    const text = await shown('plan');
    assert.match(text, /no plan runs, rebalancing waiting \(paused\)/);
  });

  it('connections are shown page by page', async () => {
    const page = await told<ConnectionsPage>('connections', '--limit', '4', '--offset', '2');
    assert.deepEqual([page.total, page.rows.map(({ node }) => node)], [7, ['n1', 'n1', 'n1', 'n2']]);
    assert.match(await shown('connections', '--node', 'n2'), /^ID {4}PROTOCOL {2}STAGE {2}REMOTE [^]*\nn2\/\d+ {2}tcp [^]*\n1 to 2 of 2\n$/);
    assert.equal(await shown('connections', '--filter', 'nobody'), 'no connections here (0 in all)\n');
  });

  it('pin and unpin a connection', async () => {
    const { rows } = await told<ConnectionsPage>('connections', '--limit', '1');
    assert.equal(await shown('pin', rows[0].id), `${rows[0].id} is pinned\n`);
    assert.deepEqual(await told('unpin', rows[0].id), { id: rows[0].id, pinned: false });
    await fails(1, /connection 99 is not open on node n2 \(EVENKEEL_UNKNOWN_CONNECTION\)/, 'pin', 'n2/99', '--fleet', FLEET);
    await fails(2, /connection must be NODE\/NUMBER/, 'pin', 'n2', '--fleet', FLEET);
  });

  it('limits show and set the pace of the fleet', async () => {
    assert.deepEqual(await told('limits', '--pace-per-s', '12.5'), { rebalancing: { state: 'off' }, pacePerS: 12.5 });
    assert.match(await shown('limits'), /pace: 12\.5 moves\/s/);
    assert.deepEqual(await told('limits', '--no-pace'), { rebalancing: { state: 'off' }, pacePerS: null });
    await fails(2, /--pace-per-s must be given without --no-pace/, 'limits', '--no-pace', '--pace-per-s', '1', '--fleet', FLEET);
  });

  it('drain empties a node and undrain takes it back; without --keep-running its process ends', async () => {
    assert.equal(await shown('drain', 'n2', '--keep-running'), 'draining n2: 2 connections; its process goes on\n');
    await until('n2 is empty', async () => (await told<FleetStatus>('status')).nodes[1].connections === 0, 10_000);
    assert.equal(await shown('undrain', 'n2'), 'n2 receives again\n');
    await until('n2 is up', async () => (await told<FleetStatus>('status')).nodes[1].state === 'up', 10_000);
    const ended = once(nodes.get('n2') as ChildProcess, 'close');
    assert.deepEqual(await told('drain', 'n2'), { node: 'n2', connections: 0, keepRunning: false });
    assert.deepEqual(await ended, [0, null]);
    await fails(1, /node must be one of the fleet's \(.*n1.*\), got n2 \(EVENKEEL_UNKNOWN_NODE\)/, 'undrain', 'n2', '--fleet', FLEET);
  });
});

describe('evenkeel fleet, used wrongly,', () => {
  it('says when no fleet runs, and becomes none itself', async () => {
    const name = `nobody-${process.pid}`;
    const message = new RegExp(`a fleet must run on this machine under the local engine '${name}', got none: .* \\(EVENKEEL_ENGINE_UNREACHABLE\\)`);
    await Promise.all([
      fails(2, message, 'status', '--fleet', name),
      fails(2, message, 'drain', 'n1', '--fleet', name, '--json'),
      fails(2, message, 'status', '--engine', `local:${name}`),
    ]);
  });

  it('says when Redis cannot be reached', async () => {
    await fails(2, /EVENKEEL_ENGINE_UNREACHABLE/, 'status', '--engine', 'redis://127.0.0.1:1');
  });

  it('says when Redis knows no such fleet', { skip: noRedis }, async () => {
    const redis = await RedisServer.start();
    const engine = ['--engine', redis.url];
    assert.deepEqual(await cli('status', ...engine), { code: 0, out: 'fleet default has no nodes\n', err: '' });
    await fails(1, /node must be one of the fleet's \(none\), got n1/, 'drain', 'n1', ...engine);
    await fails(1, /a node of fleet default must coordinate it to have a plan, got none/, 'plan', ...engine);
    await redis.close();
  });

  it('names the flag, the rule and the value', async () => {
    await Promise.all([
      fails(2, /--engine must be one that other processes reach .*, got memory/, 'status', '--engine', 'memory'),
      fails(2, /engine must be .*'redis\[s\]:\/\/\.\.\.'.*, got 'carrier-pigeon'/, 'status', '--engine', 'carrier-pigeon'),
      fails(2, /--fleet must be 1 to 200 .*, got a b/, 'status', '--fleet', 'a b'),
      fails(2, /--limit must be a whole number from 1 to 500, got 501/, 'connections', '--limit', '501'),
      fails(2, /--minutes must be a number from 1 to 10080, got soon/, 'rebalance', 'pause', '--minutes', 'soon'),
      fails(2, /--pace-per-s must be .*, got 0/, 'limits', '--pace-per-s', '0'),
      fails(2, /missing required argument 'node'/, 'drain'),
      fails(2, /too many arguments/, 'status', 'n1'),
      fails(2, /unknown option '--force'/, 'drain', 'n1', '--force'),
      fails(2, /^error: unknown option '--keep-runing' \(Did you mean --keep-running\?\)$/m, 'drain', 'n1', '--keep-runing'),
      fails(2, /^error: evenkeel fleet must be followed by one of status, plan, .*, got explode \(EVENKEEL_BAD_OPTION\)$/m, 'explode'),
      fails(2, /evenkeel fleet must be followed by .*, got explode/, 'explode', '--help'),
      fails(2, /evenkeel fleet must be followed by .*, got nothing/),
      fails(2, /evenkeel fleet rebalance must be followed by one of start, pause, stop, or --help, got nothing/, 'rebalance'),
    ]);
  });
});
