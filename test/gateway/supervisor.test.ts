// The gateway as a command: configuration reloads, processes replaced under load, deaths, drains. Real processes, real sockets.
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { descendants, eventually } from '../cli/command.ts';
import { ask } from './fixture.ts';
import type { StubSettings } from './stub-gateway-process.ts';

const module = fileURLToPath(new URL('./stub-gateway-process.js', import.meta.url));

class Stub {
  readonly #folder = mkdtempSync(join(tmpdir(), 'evk-supervisor-'));
  readonly #file = join(this.#folder, 'gateway.json');
  readonly process: ChildProcess;
  readonly exited: Promise<number | null>;
  settings: StubSettings;
  stdout = '';
  stderr = '';

  constructor(settings: Partial<StubSettings>) {
    this.settings = { port: 0, text: 'one', workers: 1, drainMs: 1_000, broken: 'no', ...settings };
    this.write(JSON.stringify(this.settings));
    this.process = spawn(process.execPath, [module, this.#file], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.process.stdout?.on('data', (bytes) => (this.stdout += String(bytes)));
    this.process.stderr?.on('data', (bytes) => (this.stderr += String(bytes)));
    this.exited = new Promise((resolve) => this.process.on('close', resolve));
  }

  write(text: string): void {
    writeFileSync(this.#file, text);
  }

  change(settings: Partial<StubSettings>, signal: NodeJS.Signals = 'SIGHUP'): void {
    this.settings = { ...this.settings, ...settings };
    this.write(JSON.stringify(this.settings));
    this.process.kill(signal);
  }

  async listens(): Promise<number> {
    await eventually(() => this.stdout.includes('\n') || this.process.exitCode !== null, 10_000, 'the gateway listens');
    return (JSON.parse(this.stdout) as { port: number }).port;
  }

  get workers(): number[] {
    return descendants(this.process.pid ?? 0);
  }

  async end(): Promise<void> {
    this.process.kill('SIGTERM');
    this.process.kill('SIGINT');
    await this.exited;
    rmSync(this.#folder, { recursive: true });
  }
}

const request = 'GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n';

interface Served {
  readonly text: string;
  readonly pid: number;
}

async function served(port: number): Promise<Served> {
  const answer = await ask(port, request);
  const [text = '', pid = ''] = (answer.split('\r\n\r\n')[1] ?? '').split(' ');
  if (!answer.startsWith('HTTP/1.1 200 ')) throw new Error(`not served: ${JSON.stringify(answer)}`);
  return { text, pid: Number(pid) };
}

/** New connections without a pause, several at a time, until told to stop. */
function storm(port: number): { readonly pids: Set<number>; stop(): Promise<{ served: number; failures: string[] }> } {
  const over = new AbortController();
  let count = 0;
  const failures: string[] = [];
  const pids = new Set<number>();
  const lane = async (): Promise<void> => {
    while (!over.signal.aborted) {
      try {
        pids.add((await served(port)).pid);
        count++;
      } catch (error) {
        failures.push(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const lanes = Array.from({ length: 8 }, lane);
  return {
    pids,
    stop: async () => {
      over.abort();
      await Promise.all(lanes);
      return { served: count, failures };
    },
  };
}

let stub: Stub | null = null;

/** Whatever a test has started ends with it. */
async function endStub(): Promise<void> {
  await stub?.end();
  assert.deepEqual(stub?.workers, [], 'nothing is left behind');
  stub = null;
}

describe('a gateway command that is told to change', { timeout: 120_000 }, () => {
  afterEach(endStub);

  test('replaces its process five times under a storm of new connections: none is refused, reset or unanswered', async () => {
    stub = new Stub({});
    const port = await stub.listens();
    const clients = storm(port);
    await eventually(() => clients.pids.size === 1, 5_000, 'somebody is served');
    for (let times = 1; times <= 5; times++) {
      stub.process.kill('SIGUSR2');
      await eventually(() => clients.pids.size === times + 1, 10_000, `process ${times + 1} serves`);
    }
    const { served: answered, failures } = await clients.stop();
    assert.deepEqual(failures, []);
    assert.ok(answered > 500, `${answered} connections were served`);
    await eventually(() => stub?.workers.length === 1, 5_000, 'the old processes are gone');
    assert.match(stub.stderr, /replaced, as it was told to/);
  });

  test('keeps an open connection on the old process until it drains, while new ones go to the new process', async () => {
    stub = new Stub({ drainMs: 3_000 });
    const port = await stub.listens();
    const kept = connect(port, '127.0.0.1');
    const answers: string[] = [];
    kept.on('data', (bytes) => answers.push(String(bytes)));
    kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => answers.length === 1, 5_000, 'the first answer');
    const first = (await served(port)).pid;
    stub.process.kill('SIGUSR2');
    await eventually(() => stub?.stderr.includes('replaced') === true, 5_000, 'the signal is heard');
    let second = first;
    while (second === first) ({ pid: second } = await served(port));
    kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => answers.length === 2, 5_000, 'the second answer');
    assert.ok(answers[1].includes(` ${first} `), 'the old process answers on its own connection');
    assert.match(answers[1], /Connection: close/);
    await eventually(() => stub?.workers.length === 1, 5_000, 'the old process is gone');
    assert.deepEqual(stub.workers, [second]);
    kept.destroy();
  });

  test('reloads in place on SIGHUP; a file with a mistake changes nothing and is told in one line', async () => {
    stub = new Stub({ workers: 2 });
    const port = await stub.listens();
    const before = new Set(stub.workers);
    stub.change({ text: 'two' });
    await eventually(() => stub?.stderr.includes('was reloaded') === true, 5_000, 'the reload');
    assert.equal((await served(port)).text, 'two');
    stub.write('{ "port": ');
    stub.process.kill('SIGHUP');
    await eventually(() => stub?.stderr.includes('must be JSON') === true, 5_000, 'the mistake is told');
    stub.change({ text: 'three', broken: 'reload' });
    await eventually(() => stub?.stderr.includes('broken must be no to reload') === true, 5_000, 'the refusal is told');
    assert.equal((await served(port)).text, 'two');
    assert.deepEqual(new Set(stub.workers), before);
    assert.deepEqual(stub.stderr.trim().split('\n').length, 3, stub.stderr);
  });

  test('takes new processes where a listener changed, and keeps the old ones where the new do not open', async () => {
    const [first, second] = await freePorts(2, realRandom);
    stub = new Stub({ port: first });
    await stub.listens();
    const clients = storm(first);
    stub.change({ port: second, text: 'two', broken: 'open' });
    await eventually(() => stub?.stderr.includes('stay as they are: broken must be no to open') === true, 5_000, 'the failure is told');
    assert.deepEqual((await clients.stop()).failures, []);
    const before = stub.workers;
    stub.change({ broken: 'no' });
    await eventually(() => stub?.workers.length === 1 && stub.workers[0] !== before[0], 10_000, 'another process');
    assert.match(stub.stderr, /replaced, as port changed/);
    assert.equal((await served(second)).text, 'two');
    await assert.rejects(served(first), /ECONNREFUSED/);
  });
});

describe('a gateway command whose processes end', { timeout: 120_000 }, () => {
  afterEach(endStub);

  test('replaces a worker that dies, while the others serve on', async () => {
    stub = new Stub({ workers: 2 });
    const port = await stub.listens();
    const before = new Set(stub.workers);
    process.kill([...before][0], 'SIGKILL');
    await eventually(() => stub?.workers.length === 2 && stub.workers.some((pid) => !before.has(pid)), 10_000, 'another worker');
    assert.match(stub.stderr, /ended \(SIGKILL\) and is replaced/);
    assert.equal((await served(port)).text, 'one');
  });

  test('drains on SIGTERM and ends with 0; a second signal ends it at once', async () => {
    stub = new Stub({ drainMs: 60_000, workers: 2 });
    const port = await stub.listens();
    const kept = connect(port, '127.0.0.1').on('error', () => {});
    const answers: string[] = [];
    kept.on('data', (bytes) => answers.push(String(bytes)));
    kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await eventually(() => answers.length === 1, 5_000, 'an answer');
    stub.process.kill('SIGTERM');
    await eventually(() => stub?.workers.length === 1, 5_000, 'the idle worker is gone');
    kept.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.equal(await stub.exited, 0);
    assert.equal(answers.length, 2);
    kept.destroy();

    const other = new Stub({ drainMs: 60_000 });
    const held = connect(await other.listens(), '127.0.0.1').on('error', () => {});
    held.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((resolve) => held.once('data', resolve));
    other.process.kill('SIGTERM');
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(other.process.exitCode, null, 'it waits for its client');
    other.process.kill('SIGTERM');
    assert.equal(await other.exited, 1);
    await other.end();
  });

  test('says in one line why it does not start, and leaves nothing behind', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => void taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    stub = new Stub({ port, workers: 2 });
    assert.equal(await stub.exited, 2);
    assert.match(stub.stderr, /^error: listener address \(http\) must be free, got 127\.0\.0\.1:\d+, where another process listens \(EVENKEEL_PORT_TAKEN\)\n$/);
    taken.close();
  });

  test('drains its workers when the supervisor is killed, and they end', async () => {
    stub = new Stub({ workers: 2 });
    await stub.listens();
    const before = stub.workers;
    stub.process.kill('SIGKILL');
    await stub.exited;
    await eventually(() => before.every((pid) => isGone(pid)), 5_000, 'the workers are gone');
  });
});

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch {
    return true;
  }
}
