// The Kubernetes client of other people's making (Debian's python3-kubernetes) beside ours, on the same API server of the tests: what it
// lists and hears in its watches is what our discovery says, so that the server is one that others understand.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import { kubernetesSource } from '../../src/gateway/upstreams/discovery/kubernetes.ts';
import { realClock } from '../../src/host/clock.ts';
import { until } from '../engines/until.ts';
import { FakeKubernetes } from './kubernetes-api.ts';

/** Debian's own: its packages are not seen by others. */
const PYTHON = '/usr/bin/python3';
const skip = spawnSync(PYTHON, ['-c', 'import kubernetes']).status === 0 ? false : 'python3-kubernetes is not installed';

/** Lists in pages of two, watches from there, goes on from the last version where a watch ends, and lists again after a 410. */
const READER = `
import sys
import urllib3
from kubernetes import client, watch

configuration = client.Configuration()
configuration.host = sys.argv[1]
api = client.DiscoveryV1Api(client.ApiClient(configuration))
wanted = dict(namespace="default", label_selector="kubernetes.io/service-name=web")

def say(what, version, slices):
    addresses = sorted(f"{address}:{one.ports[0].port}" for one in slices.values() for end in one.endpoints for address in end.addresses)
    print(what, version, ", ".join(addresses), sep="|", flush=True)

def follow(slices, version):
    while True:
        try:
            for event in watch.Watch().stream(api.list_namespaced_endpoint_slice, resource_version=version, allow_watch_bookmarks=True, timeout_seconds=60, **wanted):
                metadata = event["raw_object"]["metadata"]
                version = metadata["resourceVersion"]
                if event["type"] == "DELETED":
                    del slices[metadata["name"]]
                elif event["type"] != "BOOKMARK":
                    slices[metadata["name"]] = event["object"]
                say(event["type"], version, slices)
        except urllib3.exceptions.ProtocolError:
            say("cut", version, slices)

while True:
    slices, token = {}, None
    while True:
        page = api.list_namespaced_endpoint_slice(limit=2, _continue=token, **wanted)
        slices.update({one.metadata.name: one for one in page.items})
        token = page.metadata._continue
        if not token:
            break
    say("listed", page.metadata.resource_version, slices)
    try:
        follow(slices, page.metadata.resource_version)
    except client.ApiException as error:
        if error.status != 410:
            raise
        say("410", "", slices)
`;

interface Heard {
  readonly what: string;
  readonly version: string;
  readonly addresses: string;
}

async function reader(t: TestContext, url: string): Promise<readonly Heard[]> {
  const child = spawn(PYTHON, ['-c', READER, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const heard: Heard[] = [];
  createInterface(child.stdout).on('line', (line) => {
    const [what, version, addresses] = line.split('|');
    heard.push({ what, version, addresses });
  });
  const exited = once(child, 'exit');
  t.after(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  await once(child, 'spawn');
  return heard;
}

const slice = (...ips: string[]) => ({
  endpoints: ips.map((ip) => ({ addresses: [ip], conditions: { ready: true, serving: true, terminating: false } })),
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});

test('a reader by others lists and follows the same server: pages, changes, bookmarks, cut watches and 410', { skip, timeout: 60_000 }, async (t) => {
  const server = new FakeKubernetes();
  await server.listen();
  const told: string[] = [];
  for (let i = 1; i <= 5; i++) server.put('web', `web-${i}`, slice(`10.1.0.${i}`));
  server.put('other', 'other-1', slice('10.9.9.9'));
  const heard = await reader(t, server.url);
  const source = kubernetesSource(
    { kind: 'kubernetes', api: server.url, namespace: 'default', service: 'web', port: null },
    (listed) => {
      const names = listed.map(({ name }) => name);
      told.push(names.sort().join(', '));
    },
    { clock: realClock, random: seeded(1), log: silentLog, group: 'web' },
    { api: null, token: () => null, ca: () => null },
  );
  t.after(async () => {
    source.close();
    await server.close();
  });
  const both = (what: string, ...ips: string[]): Promise<number> => {
    const wanted = ips.map((ip) => `10.1.0.${ip}:8080`).join(', ');
    return until(`${what}: ${wanted}`, () => heard.at(-1)?.addresses === wanted && told.at(-1) === wanted && server.watching === 2, 15_000);
  };
  const whats = (): string => heard.map(({ what }) => what).join(' ');
  await both('the list, in three pages', '1', '2', '3', '4', '5');
  assert.equal(server.asked.filter((path) => path.includes('limit=2')).length, 3);

  server.put('web', 'web-1', slice('10.1.0.1', '10.1.0.7'));
  server.put('web', 'web-6', slice('10.1.0.6'));
  server.delete('web-2');
  await both('the watch', '1', '3', '4', '5', '6', '7');
  assert.equal(whats(), 'listed MODIFIED ADDED DELETED');

  // What was forgotten is older than the bookmark: both go on from it, and neither has to list again.
  server.bookmark();
  await until('the bookmark', () => heard.at(-1)?.what === 'BOOKMARK');
  server.forget();
  server.cut();
  await until('both are back', () => server.watching === 2 && heard.at(-1)?.what === 'cut', 15_000);
  server.put('web', 'web-3', slice());
  await both('after the cut', '1', '4', '5', '6', '7');
  assert.equal(whats(), 'listed MODIFIED ADDED DELETED BOOKMARK cut MODIFIED');

  // A change that nobody hears, and a history that ends before they come back.
  server.mute = true;
  server.delete('web-4');
  server.mute = false;
  server.expire();
  await both('410 in the watch', '1', '5', '6', '7');
  assert.match(whats(), /MODIFIED 410 listed$/);
  server.put('web', 'web-1', slice('10.1.0.1'));
  await both('and on', '1', '5', '6');
  const versions = heard.filter(({ version }) => version !== '').map(({ version }) => Number(version));
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => a - b),
  );
});
