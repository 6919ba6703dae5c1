// The example applications of the connection tier, in Python and in Go: two people in a chat room, whose server only speaks HTTP.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { WebSocket } from 'ws';
import { connect as open } from '../../src/client/node/index.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { SECRET, tierStage, type TierStage } from './tier-stage.ts';

const examples = new URL('../../../examples/tier/', import.meta.url).pathname;

/** The command that runs the example; null: it cannot be run here. */
function command(t: TestContext, language: 'python' | 'go'): readonly [string, readonly string[]] | null {
  if (language === 'python') {
    if (spawnSync('/usr/bin/python3', ['--version']).status === 0) return ['/usr/bin/python3', [join(examples, 'chat.py')]];
    t.skip('python3 is missing (package python3)');
    return null;
  }
  if (spawnSync('go', ['version']).status !== 0) {
    t.skip('go is missing (package golang-go)');
    return null;
  }
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-go-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const program = join(folder, 'chat');
  const environment = { ...process.env, GOCACHE: join(folder, 'cache'), GOFLAGS: '-mod=mod', CGO_ENABLED: '0' };
  const built = spawnSync('go', ['build', '-o', program, join(examples, 'chat.go')], { encoding: 'utf8', env: environment });
  assert.equal(built.status, 0, built.stderr);
  return [program, []];
}

async function start(t: TestContext, language: 'python' | 'go'): Promise<TierStage | null> {
  const found = command(t, language);
  if (found === null) return null;
  const [port] = await freePorts(1, realRandom);
  const stage = await tierStage(t, `http://127.0.0.1:${port}/hook`);
  const [program, args] = found;
  const env = { ...process.env, PORT: String(port), TIER: `http://127.0.0.1:${stage.tier.address.port}`, SECRET };
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  assert.match(line.toString(), /listening on \d+/);
  return stage;
}

async function person(t: TestContext, url: string, user: string): Promise<{ socket: WebSocket; heard: unknown[] }> {
  const socket = new WebSocket(url.replace('x=1', `user=${user}`));
  t.after(() => socket.terminate());
  const heard: unknown[] = [];
  socket.on('message', (data: Buffer) => void heard.push(data.toString()));
  await once(socket, 'open');
  return { socket, heard };
}

async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(holds(), what());
}

for (const language of ['python', 'go'] as const) {
  test(`the chat room in ${language}: people hear each other, and who leaves; who does not say who he is stays outside`, async (t) => {
    const stage = await start(t, language);
    if (stage === null) return;
    const ann = await person(t, stage.url, 'ann');
    const bob = await person(t, stage.url, 'bob');
    const session = open({ url: stage.url.replace('ws:', 'http:').replace('x=1', 'user=cyd') });
    t.after(() => session.close());
    const followed: unknown[] = [];
    session.subscribe('room', {}, ({ value }) => void followed.push(value));
    await until(
      () => session.state.kind === 'open',
      () => `the session is ${session.state.kind}`,
    );
    ann.socket.send('hello');
    const said = '{"from":"ann","text":"hello"}';
    await until(
      () => ann.heard.length === 2 && bob.heard.length === 1,
      () => `heard ${JSON.stringify([ann.heard, bob.heard])}`,
    );
    assert.deepEqual(new Set(ann.heard), new Set(['sent', said]));
    assert.deepEqual(bob.heard, [said]);
    bob.socket.close();
    await until(
      () => ann.heard.length === 3,
      () => `ann heard ${JSON.stringify(ann.heard)}`,
    );
    assert.equal(ann.heard[2], '{"left":"bob"}');
    await until(
      () => followed.length === 2,
      () => `the session heard ${JSON.stringify(followed)}`,
    );
    assert.deepEqual(followed, [{ from: 'ann', text: 'hello' }, { left: 'bob' }]);
    const nobody = new WebSocket(stage.url);
    nobody.on('error', () => {});
    const [, response] = (await once(nobody, 'unexpected-response')) as [unknown, { statusCode: number }];
    assert.equal(response.statusCode, 401);
    nobody.terminate();
    const stranger = await stage.call('POST', '/publish', { topic: 'room', data: 1 }, { secret: 'guessed' });
    assert.equal(stranger.status, 401);
  });
}
