// What a reload leaves behind: requests that are still on their way in a group that is gone, and memory.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import net, { type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import { queryObjects } from 'node:v8';
import { request } from 'undici';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { Turns } from '../../src/connections/turns.ts';
import { gatewaySettings, openGateway, type Gateway } from '../../src/gateway/index.ts';
import { MemberUpstream } from '../../src/gateway/upstreams/upstream.ts';
import { realRandom } from '../../src/host/random.ts';
import { until } from '../engines/until.ts';
import { cert, key } from '../transports/certificate.ts';
import { listening } from '../transports/raw-http.ts';
import { served } from './http-stage.ts';
import { echoBackend, httpBackend } from './servers.ts';

async function open(t: TestContext, file: object): Promise<Gateway> {
  const gateway = await openGateway(gatewaySettings(file));
  t.after(() => gateway.close());
  return gateway;
}

const portOf = (gateway: Gateway): number => gateway.listening[0].listen.port;

test('a request that is tried again in a group that is gone speaks TLS, as the group did', async (t) => {
  const ended: TLSSocket[] = [];
  const firstBytes: number[] = [];
  const secure = tls.createServer({ cert, key }, (socket) => {
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      if (bytes.includes('/hold')) ended.push(socket);
      if (!bytes.includes('/hold') || ended.length > 1) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret');
    });
  });
  const front = net.createServer((socket: Socket) => {
    socket.on('error', () => {});
    socket.once('data', (bytes) => {
      firstBytes.push(bytes[0]);
      socket.pause();
      socket.unshift(bytes);
      secure.emit('connection', socket);
    });
  });
  const address = `127.0.0.1:${await listening(t, front)}`;
  const other = await httpBackend(t, 'other');
  const gateway = await open(t, { listeners: ['127.0.0.1:0'], groups: { safe: { upstreams: [address], tls: { verify: false } } } });
  const url = `http://127.0.0.1:${portOf(gateway)}`;
  await (await request(url)).body.dump();
  const answer = request(`${url}/hold`);
  await until('it is on the connection that was kept', () => ended.length === 1);
  assert.equal(firstBytes.length, 1);
  // Under its name there is another group now, and nobody is under the name of another.
  for (const groups of [{ other: { upstreams: [other.address] } }, { safe: { upstreams: [other.address] } }]) {
    await gateway.reload(gatewaySettings({ listeners: ['127.0.0.1:0'], groups }));
  }
  ended[0].destroy();
  const { statusCode, body } = await answer;
  assert.deepEqual([statusCode, await body.text()], [200, 'secret']);
  const handshake = 22;
  assert.deepEqual(firstBytes, [handshake, handshake]);
});

test('who is turned away before a group is full goes by the routes that are there, not by those that were', async (t) => {
  const held: ServerResponse[] = [];
  const web = { upstreams: [`127.0.0.1:${await served(t, (_, response) => void held.push(response))}`], maxActive: 10 };
  const routes = (...priorities: number[]) =>
    gatewaySettings({ listeners: ['127.0.0.1:0'], groups: { web }, routes: priorities.map((priority) => ({ path: `/${priority}`, group: 'web', priority })) });
  const gateway = await openGateway(routes(1, 5, 9));
  t.after(() => gateway.close());
  const url = `http://127.0.0.1:${portOf(gateway)}`;
  const answers = [1, 5, 5, 9, 9, 9, 9, 9, 9].map((priority) => request(`${url}/${priority}`));
  await until('nine of ten places are taken', () => held.length === 9);
  assert.equal((await request(`${url}/5`)).statusCode, 503);
  await gateway.reload(routes(1, 5));
  assert.equal((await request(`${url}/1`)).statusCode, 503);
  answers.push(request(`${url}/5`));
  await until('the tenth', () => held.length === 10);
  for (const response of held) response.end();
  for (const answer of answers) assert.equal((await answer).statusCode, 200);
});

test('of groups, upstreams, listeners and routes that are gone nothing is kept', { timeout: 30_000 }, async (t) => {
  const a = await httpBackend(t, 'a');
  const echo = await echoBackend(t, 'echo');
  const ports = await freePorts(4, realRandom);
  const settings = (n: number) =>
    gatewaySettings({
      listeners: [
        '127.0.0.1:0',
        { listen: `127.0.0.1:${ports[n % 2]}`, protocol: 'tcp', group: `tcp${n}`, proxyProtocol: true },
        { listen: `127.0.0.1:${ports[2 + (n % 2)]}` },
      ],
      groups: {
        web: { upstreams: [a.address, { address: '127.0.0.1:1', name: `gone${n}`, weight: 0 }], maxActive: 10 },
        [`http${n}`]: { upstreams: [a.address], health: 'tcp' },
        [`tcp${n}`]: { upstreams: [echo.address] },
      },
      routes: [{ path: `/${n}`, group: `http${n}` }, { path: '/web', group: 'web', priority: n }, { group: 'web' }],
    });
  const gateway = await openGateway(settings(0));
  t.after(() => gateway.close());
  const use = async (n: number): Promise<void> => {
    for (const path of [`/${n}`, '/web']) await (await request(`http://127.0.0.1:${portOf(gateway)}${path}`)).body.dump();
    const socket = net.connect(gateway.listening[1].listen.port, '127.0.0.1');
    socket.write('PROXY UNKNOWN\r\nhello');
    await once(socket, 'data');
    socket.destroy();
    const wrong = net.connect(gateway.listening[1].listen.port, '127.0.0.1').on('error', () => {});
    wrong.end('no header\r\n');
    await new Promise((resolve) => void wrong.on('close', resolve));
  };
  // Doors and proxies of TCP have turns. Each count takes a look at the whole heap.
  const counted = () => [MemberUpstream, Turns].map((kind) => queryObjects(kind));
  await use(0);
  await until('nothing is on its way', () => gateway.entrances.tunnels === 0);
  const before = counted();
  for (let n = 1; n <= 200; n++) {
    await gateway.reload(settings(n));
    if (n % 10 === 0) await use(n);
  }
  assert.equal(gateway.entrances.counts.badProxyHeaders, 21);
  await until('all of it is gone', () => isDeepStrictEqual(counted(), before), 5_000).catch(() => {});
  assert.deepEqual(counted(), before);
});
