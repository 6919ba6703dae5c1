// Every kind of bad input: options, engines, ports, scenario files, flags. One clear line that names the thing, the rule and
// the value; exit code 2 or a typed error; and nothing half started.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { serveAdmin } from '../../src/admin/index.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { errorCodes } from '../../src/core/errors.ts';
import { realRandom } from '../../src/host/random.ts';
import { nodeShape } from '../../src/node/options.ts';
import { evenkeel, EvenkeelError, type Attachable, type EvenkeelOptions } from '../../src/server/index.ts';
import { begin, command, descendants } from '../cli/command.ts';
import { until } from '../engines/until.ts';
import { ServerProcess } from './server.ts';

/** A value that is out of range, by the path of its option. */
const outOfRange: Readonly<Record<string, readonly unknown[]>> = {
  fleet: ['', 'a b', 'x'.repeat(201), 7],
  id: ['', 'ä', 'x'.repeat(201)],
  address: ['', 'x'.repeat(1_025)],
  version: ['', 1],
  capacity: [0, -1, 1_000_001, Number.NaN, Infinity, '2'],
  load: [1, 'cpu'],
  balancerIdleMs: [-1, 86_400_001],
  lateMessages: ['keep', true],
  halfClose: ['yes', 1],
  engine: ['carrier-pigeon', 'redis://', 'redis://h/x', 'redis://h?x=1', 'local:', 'local:a b', {}, 7],
  signals: [['TERM'], 'SIGTERM'],
  log: ['stdout', {}],
  'rebalance.start': [0, 11],
  'rebalance.stop': [-1, 11, 0.5],
  'rebalance.pacePerS': [0, 1_000_001],
  'rebalance.withinMs': [999, 86_400_001, 1_000.5],
  'rebalance.stepOut': ['maybe', 1],
  'rebalance.minInRotation': [-0.1, 1.1],
  'rebalance.trialMs': [999, 86_400_001],
  'rebalance.balanceBy': ['cpu'],
  'rebalance.slowStartMs': [-1, 86_400_001],
  'rebalance.movesPerConnection': [0, 1_001],
  'rebalance.stableMs': [-1, 86_400_001],
  'rebalance.afterDrainMs': [-1, 86_400_001],
  'rebalance.strainDelayMs': [0, 60_001],
  'rebalance.strainHandshakeMs': [0, 60_001],
  'lifetime.maxRequests': [-1, 1.5, 1e9 + 1],
  'lifetime.maxRequestsJitter': [-0.1, 1.1],
  'lifetime.maxAgeMs': [-1, 86_400_001],
  'lifetime.maxAgeJitter': [-0.1, 1.1],
  'lifetime.idleMs': [999, 86_400_001],
  'drain.deadlineMs': [-1, 86_400_001],
  'drain.noticeMs': [-1, 30_001],
  'drain.settleMs': [-1, 30_001],
  'limits.goodbyesPerS': [0, 1e9 + 1],
  'limits.admissionPerS': [0, 1e9 + 1],
  'limits.perAddressPerS': [0, 1e9 + 1],
  'limits.pingMs': [9, 1e9 + 1],
  'limits.deadMs': [9, 30_000],
  'limits.lingerMs': [-1, 60_001],
  'limits.goodbyeMs': [0, 1e9 + 1],
  'limits.connections': [0, 1e9 + 1],
  'limits.cpu': [0, 1e9 + 1],
  'limits.eventLoopDelayMs': [0, 1e9 + 1],
};

/** What of a zod schema this test looks at. */
interface Schema {
  readonly def: { readonly innerType?: Schema };
  readonly shape?: Readonly<Record<string, Schema>>;
}

/** Paths of all options of a node that hold a value. */
function paths(shape: Readonly<Record<string, Schema>>, start: string): string[] {
  return Object.entries(shape).flatMap(([key, schema]) => {
    const inner = schema.def.innerType?.shape;
    return inner === undefined ? [`${start}${key}`] : paths(inner, `${start}${key}.`);
  });
}

function optionsWith(path: string, value: unknown): EvenkeelOptions {
  const [group, name] = path.split('.');
  return { engine: 'memory', ...(name === undefined ? { [group]: value } : { [group]: { [name]: value } }) };
}

/** The message of the typed error that `call` must throw. */
function refusal(call: () => unknown, what: string): string {
  try {
    call();
  } catch (error) {
    assert.ok(EvenkeelError.is(error), `${what}: ${String(error)}`);
    assert.equal(error.code, 'EVENKEEL_BAD_OPTION', what);
    return error.message;
  }
  return assert.fail(`${what} was accepted`);
}

describe('options', () => {
  test('each out of range: one line with its name, and nothing half started', () => {
    const begun = { handles: process.getActiveResourcesInfo().length, signals: process.listenerCount('SIGTERM') };
    for (const [path, values] of Object.entries(outOfRange)) {
      for (const value of values) {
        const message = refusal(() => evenkeel(optionsWith(path, value)), `${path} = ${String(value)}`);
        const names = path === 'engine' ? /engine|the URL of Redis|name/ : new RegExp(path.replace('.', '\\.'));
        assert.match(message, names);
        assert.doesNotMatch(message, /\n/);
        assert.ok(message.length < 400, message);
      }
    }
    assert.deepEqual({ handles: process.getActiveResourcesInfo().length, signals: process.listenerCount('SIGTERM') }, begun);
  });

  test('the list above has every option', () => {
    const known = paths(nodeShape as unknown as Record<string, Schema>, '');
    assert.deepEqual(Object.keys(outOfRange).toSorted(), [...known, 'engine', 'signals', 'log'].toSorted());
  });

  test('one that nobody knows is named, on every level', () => {
    for (const group of ['', 'rebalance', 'lifetime', 'drain', 'limits']) {
      const path = group === '' ? 'colour' : `${group}.colour`;
      assert.equal(
        refusal(() => evenkeel(optionsWith(path, 'red')), path),
        `${path} is not known here`,
      );
    }
  });

  test('a password in the address of an engine is not repeated', () => {
    for (const engine of ['redis://user:secret@', 'mysql://user:secret@host', 'redis://user:secret@host/x']) {
      assert.doesNotMatch(
        refusal(() => evenkeel({ engine }), engine),
        /secret/,
      );
    }
  });

  test('what cannot be attached is told with what was given', async () => {
    await using node = evenkeel({ engine: 'memory', signals: [] });
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [() => {}, /got a function \(an Express app\?/],
      [{ server: {} }, /a Fastify instance\?/],
      [null, /got null/],
      ['8080', /got string/],
    ];
    for (const [server, message] of wrong) assert.throws(() => node.attach(server as Attachable), message);
    const server = createServer();
    node.attach(server);
    assert.throws(() => node.attach(server), { code: 'EVENKEEL_ALREADY_ATTACHED' });
  });
});

/** A command that must fail with one line on standard error, nothing on standard output, and no process left. */
async function fails(code: number, line: RegExp, ...args: readonly string[]): Promise<void> {
  const running = begin(...args);
  const children = new Set<number>();
  const watch = setInterval(() => descendants(running.process.pid ?? -1).forEach((pid) => children.add(pid)), 50);
  const { code: was, stdout, stderr } = await running.outcome;
  clearInterval(watch);
  assert.deepEqual([was, stdout], [code, ''], `${args.join(' ')}: ${stderr}`);
  assert.match(stderr, line);
  assert.match(stderr, /^[^\n]+\n$/, args.join(' '));
  assert.deepEqual([...children], [], `${args.join(' ')} started something`);
}

describe('Redis that cannot be reached', () => {
  const address = 'redis://127.0.0.1:1';

  test('a node serves, says so once, and drains', { timeout: 60_000 }, async (context) => {
    const [port] = await freePorts(1, realRandom);
    const options = { drain: { deadlineMs: 1_000, noticeMs: 100, settleMs: 100 } };
    const server = new ServerProcess({ id: 'n1', port, http2Port: null, fleet: 'alone', engine: address, options });
    context.after(() => server.kill());
    await server.start();
    await until('it says so', () => server.said(/engine cannot be reached: serving, but nothing is rebalanced/).length > 0, 10_000);
    assert.deepEqual(
      [(await fetch(`http://127.0.0.1:${port}/heartbeat`)).status, await server.probe('ready'), await server.probe('rotation')],
      [200, 200, 200],
    );
    const status = await server.ask<{ error: { code: string; message: string } }>('/api/status');
    assert.equal(status.error.code, 'EVENKEEL_ENGINE_UNREACHABLE');
    assert.match(await server.metrics(), /^evenkeel_engine_up(\{.*\})? 0$/m);
    assert.equal(server.said(/serving, but nothing is rebalanced/).length, 1, 'once, not with every attempt');
    server.signal('SIGTERM');
    assert.deepEqual(await server.ended(8_000), { code: 0, signal: null });
    assert.equal(server.noise, '');
  });

  test('commands fail with one line', async () => {
    await fails(2, /ENGINE_UNREACHABLE/, 'fleet', 'status', '--engine', address);
    await fails(2, /ENGINE_UNREACHABLE/, 'demo', '--headless', '--json', '--engine', address);
  });
});

describe('a port that is taken', () => {
  let other: Server;
  let port = 0;
  before(async () => {
    other = createServer();
    await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
    ({ port } = other.address() as AddressInfo);
  });
  after(() => void other.close());

  test('the admin API rejects with a typed error, and the node goes on', async () => {
    await using node = evenkeel({ engine: 'memory', signals: [] });
    await assert.rejects(
      serveAdmin(node, { port }),
      (error: unknown) => EvenkeelError.is(error) && error.code === 'EVENKEEL_PORT_TAKEN' && error.message.includes(String(port)),
    );
    await using admin = await serveAdmin(node, { port: 0 });
    assert.equal((await fetch(`${admin.address}/api/status`)).status, 200);
  });

  test('the demo fails with one line and starts nothing', async () => {
    await fails(2, /--port must be free on 127\.0\.0\.1, got \d+: .*PORT_TAKEN/, 'demo', '--port', String(port));
  });
});

describe('files and flags', { concurrency: 2 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'evk-bad-'));
  after(() => rmSync(folder, { recursive: true }));
  const good = { name: 'x', durationS: 10, nodeCount: 3, clients: { count: 10, protocol: 'http' }, policy: { name: 'evenkeel' } };
  const file = (name: string, content: unknown): string => {
    const path = join(folder, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };
  const scenarios: readonly (readonly [string, unknown, RegExp])[] = [
    ['no JSON', '{"name": "x",', /--scenario must be JSON/],
    ['empty', '', /--scenario must be JSON/],
    ['a list', [], /must be/],
    ['null', null, /must be/],
    ['something missing', { ...good, durationS: undefined }, /durationS .*got nothing/],
    ['neither nodes nor nodeCount', { ...good, nodeCount: undefined }, /node/],
    ['out of range', { ...good, clients: { count: -1, protocol: 'http' } }, /clients\.count must be at least 1, got -1|clients\.count/],
    ['a protocol that is none', { ...good, clients: { count: 1, protocol: 'smtp' } }, /clients\.protocol must be one of .*got "smtp"/],
    ['an unknown name', { ...good, colour: 'red' }, /colour is not known here/],
    ['an unknown knob', { ...good, policy: { name: 'evenkeel', knob: 1 } }, /knob is not known here/],
    ['an unknown policy', { ...good, policy: { name: 'magic' } }, /policy/],
    ['an event of nobody', { ...good, events: [{ atS: 1, do: 'crash', node: 'n9' }] }, /n9/],
    ['an event that is none', { ...good, events: [{ atS: 1, do: 'explode' }] }, /explode/],
  ];

  test('a scenario that is right runs', async () => {
    assert.equal((await command('sim', '--scenario', file('good.json', good), '--json')).code, 0);
  });

  for (const [name, content, line] of scenarios) {
    test(`a scenario with a mistake: ${name}`, () => fails(2, line, 'sim', '--scenario', file(`${name}.json`, content)));
  }

  test('files that are not there, and pages that cannot be written', async () => {
    await fails(2, /--scenario must be a file that can be read, got \/no\/such/, 'sim', '--scenario', '/no/such');
    await fails(2, /--scenario must be a file that can be read/, 'sim', '--scenario', folder);
    await fails(2, /--report must be a file that can be written/, 'sim', '--scenario', file('good.json', good), '--report', '/no/such/page.html');
  });

  test('flags and commands that nobody knows', async () => {
    await fails(2, /evenkeel must be followed by one of demo, .*, got sail/, 'sail');
    for (const name of ['demo', 'sim']) await fails(2, /unknown option '--colour'/, name, '--colour');
    await fails(2, /unknown option '--colour'/, 'swarm', '--url', 'http://127.0.0.1:1', '--clients', '1', '--protocol', 'http', '--colour');
    await fails(2, /unknown option '--colour'/, 'fleet', 'status', '--colour');
    await fails(2, /--servers must be a whole number from 2 to 20, got 99/, 'demo', '--servers', '99');
    await fails(2, /--seed must be/, 'sim', '--seed', '-1');
    await fails(2, /--policy must be one of/, 'sim', '--policy', 'magic');
  });
});

test('every typed error has its explanation', () => {
  for (const [code, text] of Object.entries(errorCodes)) {
    assert.match(code, /^EVENKEEL_[A-Z_]+$/);
    assert.match(text, /\.$/);
  }
});
