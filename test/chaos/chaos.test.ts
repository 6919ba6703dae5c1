// Two minutes of chaos: whatever happens to links, nodes and the engine, nothing is lost, repeated, reordered or skipped in
// silence, requests are answered as promised, and in the end present is who is there; where the engine itself loses what it
// acknowledged, everybody concerned is told. `npm run chaos -- --long` goes on for hours.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noRedis } from '../redis-server.ts';
import { shortForm, type ChaosOptions } from './options.ts';
import { runChaos, type ChaosReport } from './run.ts';

async function chaos(t: { diagnostic(line: string): void }, options: Partial<ChaosOptions>): Promise<ChaosReport> {
  const lines: string[] = [];
  const report = await runChaos({ ...shortForm, seed: Math.floor(Math.random() * 2 ** 31), ...options }, (line) => void lines.push(line));
  const { troubles, byKind, ...figures } = report;
  t.diagnostic(JSON.stringify({ ...figures, byKind }));
  assert.deepEqual(report.failures, [], `seed ${report.seed}\n${report.firstFault ?? ''}\n${JSON.stringify(troubles)}\n${lines.slice(-12).join('\n')}`);
  return report;
}

test('a fleet with the local engine, while everything happens at once', { timeout: 240_000 }, async (t) => {
  await chaos(t, { engine: 'local' });
});

test('the local engine is killed and forgets everything: who was followed, sent or read is told', { timeout: 120_000 }, async (t) => {
  const report = await chaos(t, { mode: 'kill-engine', engine: 'local' });
  assert.ok(report.undecided > 0, 'messages that were under way when it died are undecided');
});

describe('with Redis', { skip: noRedis }, () => {
  test('a fleet with a Redis that keeps everything, while everything happens at once', { timeout: 240_000 }, async (t) => {
    await chaos(t, { engine: 'redis' });
  });

  test('a Redis fails over to a replica that was behind: who had seen what is gone is told', { timeout: 120_000 }, async (t) => {
    await chaos(t, { mode: 'lose-writes', engine: 'redis' });
  });
});
