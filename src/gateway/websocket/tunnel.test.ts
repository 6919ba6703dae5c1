// What a tunnel keeps of its frames while nothing moves.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import type { Connection } from '../../connections/connection.ts';
import type { Group } from '../ports.ts';
import { openStage } from './stages.ts';
import { Tunnel, type Keeper } from './tunnel.ts';

const tunnelOf = (): Tunnel =>
  new Tunnel({} as Keeper, {
    connection: {} as Connection,
    client: {} as Socket,
    address: '127.0.0.1',
    port: 1,
    group: {} as Group,
    life: null,
    stage: openStage,
  });

test('a tunnel at rest keeps nothing of its frames, and in the middle of a message all', () => {
  const tunnel = tunnelOf();
  const { fromClient, fromUpstream } = tunnel;
  fromClient.advance(Buffer.from([0x01, 2, 65, 66]), 0);
  fromUpstream.advance(Buffer.from([0x82, 5, 1]), 0);
  tunnel.rest();
  assert.ok(tunnel.fromClient === fromClient && fromClient.midMessage, 'between two fragments');
  assert.ok(tunnel.fromUpstream === fromUpstream && fromUpstream.left === 4, 'in a frame');
  fromClient.advance(Buffer.from([0x80, 0]), 0);
  fromUpstream.advance(Buffer.alloc(4), 0);
  tunnel.rest();
  assert.ok(tunnel.fromClient !== fromClient && tunnel.fromClient.isQuiet);
  assert.ok(tunnel.fromUpstream !== fromUpstream && tunnel.fromUpstream.isQuiet);
  tunnel.fromClient.hold(Buffer.from([0x81]), 0);
  tunnel.rest();
  assert.ok(tunnel.fromClient.held !== null, 'the begin of a frame');
});
