// Streams over the local engine when its host dies, and when a guest asks for more than fits on the way at once.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Engine } from '../../src/engine/engine.ts';
import { localEngine, type LocalOptions } from '../../src/engine/local.ts';
import { wireLimits } from '../../src/engine/local-wire.ts';
import { append, bySession, claim, dataOf, own, put, putMany, range, readAfter } from './stream-stories.ts';
import { connected } from './health.ts';
import { until } from './until.ts';

const directory = mkdtempSync(join(tmpdir(), 'evk-'));
const opened = new Set<Engine>();
let names = 0;
const freshName = (): string => `ls${process.pid}-${names++}`;

function open(options: Partial<LocalOptions> & { name: string }): Engine {
  const engine = localEngine({ directory, ...options });
  opened.add(engine);
  return engine;
}

after(async () => {
  await Promise.all([...opened].map((engine) => engine.close()));
  rmSync(directory, { recursive: true });
});

describe('streams of local', () => {
  it('when the host is killed another takes over: gap for every position, sessions are over, tails hear again', async (test) => {
    const name = freshName();
    const host = fork(new URL('./local-process.js', import.meta.url), ['host', name, directory, 'host'], { stdio: 'ignore' });
    test.after(() => host.kill('SIGKILL'));
    const guest = open({ name, role: 'join' });
    await until('we joined', () => connected(guest), 5_000);
    const heir = open({ name });
    const heard: string[] = [];
    await guest.streams.tail('a', (entry) => heard.push(entry.data));
    const before = await putMany(heir, 'a', ['1', '2', '3']);
    const owner = await own(guest, 'se');
    await until('the tail heard', () => heard.length === 3);
    host.kill('SIGKILL');
    await until('we noticed', () => !connected(guest), 3_000);
    await until('the heir hosts', () => connected(guest) && connected(heir), 3_000);
    assert.equal(dataOf(await readAfter(guest, 'a', before[0])), 'gap');
    await putMany(guest, 'a', ['x', 'y', 'z']);
    for (const position of before) assert.equal(dataOf(await readAfter(guest, 'a', position)), 'gap');
    assert.deepEqual(await claim(guest, 'se', { create: false }), { kind: 'unknown' });
    assert.deepEqual(await append(guest, 'a', 'late', { author: bySession('se', owner, 1) }), { kind: 'fenced' });
    await until('the tail hears again', () => heard.join() === '1,2,3,x,y,z');
  });

  it('a guest that asks for more than may wait on its link gets all of it, bit by bit', async () => {
    const name = freshName();
    const host = open({ name, role: 'host' });
    const guest = open({ name, role: 'join', timeoutMs: 20_000 });
    const entry = 'x'.repeat(500_000);
    const first = await put(host, 'big', entry);
    await put(host, 'big', entry);
    await until('we joined', () => connected(guest));
    const asked = Math.ceil((1.3 * wireLimits.unsentBytes) / (2 * entry.length));
    const pages = await Promise.all(range(1, asked).map(() => readAfter(guest, 'big', { ...first, offset: 0 })));
    for (const page of pages) assert.equal(dataOf(page).length, 2);
    assert.ok(connected(guest));
  });
});
