// What a reload leaves behind: requests that are still on their way in a group that is gone, and memory.
import assert from 'node:assert/strict';
import net, { type Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import { request } from 'undici';
import { gatewaySettings, openGateway, type Gateway } from '../../src/gateway/index.ts';
import { until } from '../engines/until.ts';
import { cert, key } from '../transports/certificate.ts';
import { listening } from '../transports/raw-http.ts';
import { httpBackend } from './servers.ts';

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
