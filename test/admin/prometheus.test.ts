// The metrics as Prometheus sees them: promtool finds nothing to complain of, and a real Prometheus scrapes them.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Admin, serveAdmin } from '../../src/admin/index.ts';
import { until } from '../engines/until.ts';
import { ask } from './asking.ts';
import { TestFleet } from './nodes.ts';

const TOKEN = 'correct-horse-battery';
const missing = (command: string): string | false => (spawnSync(command, ['--version']).error === undefined ? false : `${command} is not installed`);

describe('the metrics of a node', () => {
  let fleet: TestFleet;
  let admin: Admin;
  before(async () => {
    fleet = await TestFleet.start(2);
    const [coordinator, other] = [...fleet.nodes].sort((a, b) => Number(b.node.coordinator.leads) - Number(a.node.coordinator.leads));
    admin = await serveAdmin(coordinator, { port: 0, token: TOKEN, processMetrics: true });
    await Promise.all([coordinator.join(3), other.join(2)]);
  });
  after(async () => {
    await admin.close();
    await fleet.close();
  });
  const scraped = async (): Promise<string> => (await ask(admin, 'GET', '/metrics', { headers: { authorization: `Bearer ${TOKEN}` } })).text;

  it('pass promtool', { skip: missing('promtool') }, async () => {
    // The metrics of the Node process have their names from the client library; promtool dislikes three of them.
    const ours = (await scraped()).split('\n').filter((line) => line.includes('evenkeel_'));
    const { status, stderr, stdout } = spawnSync('promtool', ['check', 'metrics'], { input: `${ours.join('\n')}\n`, encoding: 'utf8' });
    assert.deepEqual([status, stdout, stderr], [0, '', '']);
  });

  it('count goodbyes by reason', async () => {
    const [node] = fleet.nodes;
    await node.node.drain();
    assert.match(await scraped(), /^evenkeel_goodbyes_total\{reason="drain"\} \d/m);
    node.node.undrain();
  });

  it('are scraped by Prometheus, with the token', { skip: missing('prometheus') }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-prometheus-'));
    const port = await freePort();
    const scrape = { job_name: 'evenkeel', authorization: { credentials: TOKEN }, static_configs: [{ targets: [`127.0.0.1:${admin.port}`] }] };
    // JSON is YAML.
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify({ global: { scrape_interval: '300ms', scrape_timeout: '300ms' }, scrape_configs: [scrape] }));
    const prometheus = spawn(
      'prometheus',
      [
        `--config.file=${join(folder, 'prometheus.yml')}`,
        `--storage.tsdb.path=${join(folder, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
        '--log.level=error',
      ],
      { stdio: 'ignore' },
    );
    try {
      const value = async (query: string): Promise<string | undefined> => {
        const response = await fetch(`http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`);
        const { data } = (await response.json()) as { data: { result: { value: [number, string] }[] } };
        return data.result[0]?.value[1];
      };
      await until('Prometheus has scraped', async () => (await value('up{job="evenkeel"}')) === '1', 20_000);
      assert.equal(await value('evenkeel_coordinator'), '1');
      assert.equal(await value('evenkeel_engine_up'), '1');
      assert.equal(await value('count(evenkeel_connections)'), '5');
      assert.equal(await value('count(evenkeel_imbalance{fleet="test"})'), '1');
    } finally {
      prometheus.kill('SIGKILL');
      await once(prometheus, 'close');
      rmSync(folder, { recursive: true });
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
