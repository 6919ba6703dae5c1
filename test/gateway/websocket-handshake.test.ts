// What upstreams are asked with: by the first handshake of a WebSocket, and by that of the next upstream.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientFacts } from '../../src/gateway/ports.ts';
import { EchoUpstream } from './echo-upstream.ts';
import { Player } from './player.ts';
import { RelayStage, until } from './relay-stage.ts';

test('the next upstream gets the same handshake, for the same client, under a key of its own', async () => {
  await using one = await EchoUpstream.open({ name: 'one' });
  await using two = await EchoUpstream.open({ name: 'two' });
  const clients: (ClientFacts | null)[] = [];
  await using stage = await RelayStage.open({ ports: [one.port, two.port], websocket: { failover: true }, dialled: (client) => clients.push(client) });
  await Player.open(stage.url, { headers: { Cookie: 'a=b', 'X-Upgrade': 'connection: x' } });
  one.die();
  await until(() => stage.tally.reattached === 1, 'the next upstream');
  const { 'sec-websocket-key': oldKey, ...before } = one.handshakes[0];
  const { 'sec-websocket-key': key, 'evenkeel-reconnect': number, ...after } = two.handshakes[0];
  assert.deepEqual(after, before);
  assert.equal(number, '1');
  assert.ok(key !== undefined && key !== oldKey);
  assert.equal(clients.length, 2);
  assert.deepEqual(clients[1], clients[0]);
});

test('a client cannot say that it was moved here', async () => {
  await using echo = await EchoUpstream.open();
  for (const failover of [false, true]) {
    await using stage = await RelayStage.open({ ports: [echo.port], websocket: { failover } });
    await Player.open(stage.url, { headers: { 'Evenkeel-Reconnect': '3' } });
  }
  assert.deepEqual(
    echo.handshakes.map((one) => one['evenkeel-reconnect']),
    [undefined, undefined],
  );
});
