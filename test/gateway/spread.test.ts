// How requests and names are spread by the command: a canary that gets its part until it is taken out, and a zone that dig asks, whose
// addresses go with their servers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { request } from 'undici';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { until } from '../engines/until.ts';
import { run, missing } from './peers.ts';
import { httpBackend, type Backend } from './servers.ts';
import { start } from './started.ts';

const to = (backend: Backend): { upstreams: string[]; retries: number } => ({ upstreams: [backend.address], retries: 0 });

test('a canary gets its part of the requests; broken, it is taken out by a reload, and all goes well again', async (t) => {
  const [web, canary] = await Promise.all([httpBackend(t, 'web'), httpBackend(t, 'canary')]);
  const configuration = (weight: number): object => ({
    listeners: ['127.0.0.1:0'],
    groups: { web: to(web), canary: to(canary) },
    routes: [{ groups: { web: 80, canary: weight } }],
  });
  const gateway = await start(t, configuration(20));
  const statuses = async (count: number): Promise<Map<number, number>> => {
    const found = new Map<number, number>();
    for (let i = 0; i < count; i++) {
      const { statusCode, body } = await request(`http://${gateway.address()}/`);
      await body.dump();
      found.set(statusCode, (found.get(statusCode) ?? 0) + 1);
    }
    return found;
  };
  assert.deepEqual([...(await statuses(500)).keys()], [200]);
  // Six standard deviations around a fifth.
  assert.ok(canary.seen() > 46 && canary.seen() < 154, `${canary.seen()} of 500`);
  canary.kill();
  const broken = await statuses(200);
  const failures = 200 - (broken.get(200) ?? 0);
  assert.ok(failures > 6 && failures < 74, `${failures} of 200 failed: its part, and no more`);
  await gateway.change(configuration(0));
  assert.deepEqual(await statuses(200), new Map([[200, 200]]));
});

test('dig hears the addresses of the servers that are well, and their ports', { skip: missing('dig') }, async (t) => {
  const [port] = await freePorts(1, realRandom);
  const [one, two] = await Promise.all([httpBackend(t, 'one'), httpBackend(t, 'two', '127.0.0.2')]);
  await start(t, {
    listeners: ['127.0.0.1:0'],
    groups: { web: { upstreams: [one.address, two.address], health: { intervalMs: 200, rise: 1, fall: 1 } } },
    dns: { listen: `127.0.0.1:${port}`, zone: 'fleet.test', names: { web: 'web' } },
  });
  const dig = async (...args: string[]): Promise<string[]> =>
    (await run('dig', ['@127.0.0.1', '-p', String(port), '+short', '+tries=2', '+time=2', ...args])).trim().split('\n').sort();
  const tells = async (...addresses: string[]): Promise<boolean> => (await dig('web.fleet.test', 'A')).join() === addresses.join();
  await until('both are told', () => tells('127.0.0.1', '127.0.0.2'), 10_000);
  const records = await dig('_http._tcp.web.fleet.test', 'SRV');
  assert.deepEqual(
    records.map((record) => Number(record.split(' ')[2])).sort((a, b) => a - b),
    [one.port, two.port].sort((a, b) => a - b),
  );
  two.kill();
  await until('the dead one is not told any more', () => tells('127.0.0.1'), 10_000);
});
