// What a node without a log says of what its user should know, in a process of its own: its warnings are those of the process.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';

const library = new URL('../../src/server/index.js', import.meta.url).href;

/** Standard error of a process whose node has no engine, and idles out before its balancer does. */
function saidBy(options: string): Promise<string> {
  const program = `
    const { evenkeel } = await import(${JSON.stringify(library)});
    const node = evenkeel({ engine: 'redis://127.0.0.1:1', balancerIdleMs: 86_400_000, signals: [], ${options} });
    setTimeout(() => void node.close(), 4_000);
  `;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--input-type=module', '-e', program], { env: { ...process.env, NODE_OPTIONS: '' } }, (error, _, stderr) => {
      if (error === null) resolve(stderr);
      else reject(error);
    });
  });
}

test('without a log it warns at the start and when the engine is out of reach, once each; with null it is silent', async () => {
  const [byDefault, silent] = await Promise.all([saidBy(''), saidBy('log: null')]);
  const lines = byDefault.split('\n').filter((line) => line.includes('EvenkeelWarning: '));
  const messages = lines.map((line) => line.replace(/^.*EvenkeelWarning: /, '').replace(/ \{ .*$/, ''));
  assert.deepEqual(messages.toSorted(), [
    'connections idle out here before they do at the balancer: expect 502s; raise lifetime.idleMs',
    'engine cannot be reached',
    'the engine cannot be reached: serving, but nothing is rebalanced',
  ]);
  assert.equal(silent, '');
});
