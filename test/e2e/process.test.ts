// What a node is to the process that it lives in: without a log its warnings are those of the process, and a drain that somebody waits
// for keeps it alive.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';

const library = new URL('../../src/server/index.js', import.meta.url).href;

interface Said {
  readonly stdout: string;
  readonly stderr: string;
}

/** What a process says in which `evenkeel` is there. Rejects unless it ends with 0. */
function saidBy(lines: string): Promise<Said> {
  const program = `const { evenkeel } = await import(${JSON.stringify(library)});${lines}`;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], { env: { ...process.env, NODE_OPTIONS: '' } }, (error, stdout, stderr) => {
      if (error === null) resolve({ stdout, stderr });
      else reject(error);
    });
  });
}

/** Its node has no engine, and idles out before its balancer does. */
const unwell = (options: string): Promise<Said> =>
  saidBy(`
    const node = evenkeel({ engine: 'redis://127.0.0.1:1', balancerIdleMs: 86_400_000, signals: [], ${options} });
    setTimeout(() => void node.close(), 4_000);
  `);

test('without a log it warns at the start and when the engine is out of reach, once each; with null it is silent', async () => {
  const [byDefault, silent] = await Promise.all([unwell(''), unwell('log: null')]);
  const lines = byDefault.stderr.split('\n').filter((line) => line.includes('EvenkeelWarning: '));
  const messages = lines.map((line) => line.replace(/^.*EvenkeelWarning: /, '').replace(/ \{ .*$/, ''));
  assert.deepEqual(messages.toSorted(), [
    'connections idle out here before they do at the balancer: expect 502s; raise lifetime.idleMs',
    'engine cannot be reached',
    'the engine cannot be reached: serving, but nothing is rebalanced',
  ]);
  assert.equal(silent.stderr, '');
});

test('who waits for a drain lives until it is over, also when nothing else keeps the process alive', async () => {
  const { stdout } = await saidBy(`
    const node = evenkeel({ engine: 'memory', signals: [], drain: { deadlineMs: 2_000, noticeMs: 300, settleMs: 100 } });
    await node.drain();
    console.log('drained');
    await node.close();
  `);
  assert.equal(stdout, 'drained\n');
});
