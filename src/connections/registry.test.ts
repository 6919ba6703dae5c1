// The connections of a node: what counts, what the totals say, and what a change of protocol keeps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../test/property.ts';
import { List } from '../core/choose.ts';
import { VirtualClock } from '../core/clock.ts';
import type { Goodbye, GoodbyeReason } from '../core/goodbye.ts';
import type { Connection, Transport } from './connection.ts';
import { Registry } from './registry.ts';

const transport = (manner: 'told' | 'asks'): Transport => ({
  protocol: manner === 'asks' ? 'http1' : 'websocket',
  manner,
  retire() {},
  cut() {},
  quiet: () => true,
  facts: () => ({ remoteAddress: '', remotePort: 0, bytesRead: 0, bytesWritten: 0 }),
});
const [http1, websocket] = [transport('asks'), transport('told')];
const bye = (reason: GoodbyeReason): Goodbye => ({ reason, plan: null, target: null });

function house(arrival = { rests: false, bounced: false }) {
  const clock = new VirtualClock(1_000);
  const left: string[] = [];
  const registry = new Registry({ clock, arrival: () => arrival, left: (connection, goodbye) => left.push(`${connection.id} ${goodbye.reason}`) });
  const open = (by: Transport = websocket): Connection => {
    const connection = registry.accept(by, null);
    registry.admit(connection);
    return connection;
  };
  return { clock, registry, left, open };
}

test('a connection counts from its first real request on: a probe never does', () => {
  const { registry } = house();
  const probe = registry.accept(http1, null);
  const client = registry.accept(http1, null);
  registry.admit(client);
  registry.admit(client);
  assert.deepEqual([registry.count, registry.fresh, registry.totals.opened], [1, 1, 1]);
  registry.close(probe);
  assert.deepEqual([registry.fresh, registry.totals.closed], [0, 0]);
});

test('totals say why each one ended', () => {
  const { registry, open, left } = house();
  const reasons: GoodbyeReason[] = ['rebalance', 'drain', 'max-age', 'operator'];
  for (const reason of reasons) registry.leave(open(), bye(reason));
  registry.close(open());
  assert.deepEqual(registry.totals, { opened: 5, shed: 1, drained: 1, closed: 3, bounced: 0, forced: 0 });
  assert.deepEqual(left, ['1 rebalance', '2 drain', '3 max-age', '4 operator']);
});

test('who was told is out of the count at once, and is counted once', () => {
  const { registry, open } = house();
  const connection = open();
  registry.leave(connection, bye('rebalance'));
  registry.leave(connection, bye('drain'));
  assert.deepEqual([registry.count, registry.leaving, connection.stage, connection.goodbye?.reason], [0, 1, 'leaving', 'rebalance']);
  registry.close(connection);
  registry.close(connection);
  assert.deepEqual([registry.leaving, connection.stage, registry.totals.closed], [0, 'closed', 0]);
});

test('one that was told before it asked for anything was never counted', () => {
  const { registry, left } = house();
  const connection = registry.accept(http1, null);
  registry.leave(connection, bye('drain'));
  registry.admit(connection);
  assert.deepEqual([registry.count, registry.totals.opened, registry.totals.drained, left.length], [0, 0, 0, 0]);
});

test('what arrives under a plan rests, and a bounce is counted', () => {
  const { registry, open } = house({ rests: true, bounced: true });
  open();
  assert.deepEqual([registry.choice.countIn(List.resting), registry.totals.bounced], [1, 1]);
});

test('requests in progress keep it from being chosen; the last one to end frees it', () => {
  const { registry, open } = house();
  const connection = open();
  registry.began(connection);
  registry.began(connection);
  registry.ended(connection);
  assert.equal(registry.choice.tellable, 0);
  registry.ended(connection);
  assert.equal(registry.choice.tellable, 1);
});

test('an upgrade keeps the connection, its pin, its rest and its weight', () => {
  const { registry, open } = house({ rests: true, bounced: false });
  const connection = open(http1);
  registry.pin(connection, true);
  registry.weigh(connection, 3);
  registry.began(connection);
  registry.adopt(connection, websocket, 'ws');
  assert.deepEqual([connection.protocol, connection.handle, registry.totals.opened, registry.choice.weight], ['websocket', 'ws', 1, 3]);
  assert.equal(registry.choice.countIn(List.pinned), 1);
  registry.pin(connection, false);
  assert.equal(registry.choice.countIn(List.resting), 1);
});

test('the request that became an upgrade may end late without confusing the new protocol', () => {
  const { registry, open } = house();
  const connection = open(http1);
  registry.began(connection);
  registry.adopt(connection, websocket, null);
  registry.ended(connection);
  registry.began(connection);
  assert.equal(registry.choice.countIn(List.busy), 1);
});

test('an upgrade as the first request counts', () => {
  const { registry } = house();
  const connection = registry.accept(http1, null);
  registry.adopt(connection, websocket, null);
  assert.deepEqual([registry.count, registry.totals.opened, registry.choice.tellable], [1, 1, 1]);
});

test('unmovable ones are those that are pinned, silent for a minute, or long at it', () => {
  const { clock, registry, open } = house();
  registry.pin(open(), true);
  open(http1);
  registry.began(open());
  open();
  clock.advance(60_000);
  registry.choice.sweep(clock.now());
  assert.deepEqual([registry.count, registry.choice.unmovable, registry.choice.tellable], [4, 3, 1]);
});

test('it knows how long clients that speak at once take to their first request', () => {
  const { clock, registry } = house();
  for (let i = 0; i < 100; i++) {
    const connection = registry.accept(websocket, null);
    clock.advance(80);
    registry.admit(connection);
  }
  assert.ok(Math.abs(registry.handshakeMs - 80) < 1);
});

test('everything that has a socket can be found, whatever its stage', () => {
  const { registry, open } = house();
  const [counted, leaving] = [open(), open()];
  registry.leave(leaving, bye('drain'));
  const fresh = registry.accept(websocket, null);
  assert.deepEqual([...registry.all()], [counted, leaving]);
  assert.deepEqual([...registry.everything()], [counted, leaving, fresh]);
  assert.deepEqual([registry.find(leaving.id), registry.find(99)], [leaving, undefined]);
});

test('places are used again, and hold whoever took them last', () => {
  always(
    fc.array(fc.nat(40), { maxLength: 400 }),
    (steps) => {
      const { registry, open } = house();
      const alive: Connection[] = [];
      for (const step of steps) {
        if (step > alive.length) alive.push(open());
        else if (alive.length > 0) registry.close(alive.splice(step % alive.length, 1)[0]);
        assert.equal(registry.count, alive.length);
        for (const connection of alive) assert.equal(registry.at(connection.slot), connection);
      }
      assert.ok(alive.every(({ slot }) => slot < 41));
    },
    50,
  );
});

test('a thousand connections grow the house without losing anybody', () => {
  const { registry, open } = house();
  const all = Array.from({ length: 1_000 }, () => open());
  assert.deepEqual([...registry.all()], all);
});

test('what the application says of a connection that was just accepted holds once it counts', () => {
  const { registry } = house();
  const connection = registry.accept(websocket, null);
  registry.pin(connection, true);
  registry.weigh(connection, 7);
  registry.admit(connection);
  assert.deepEqual([registry.choice.countIn(List.pinned), registry.choice.weight], [1, 7]);
  registry.pin(connection, false);
  assert.equal(registry.choice.countIn(List.pinned), 0);
});

test('an HTTP/1.1 connection that was opened in advance is no slow handshake', () => {
  const { registry, clock } = house();
  const early = registry.accept(http1, null);
  clock.advance(40_000);
  registry.admit(early);
  assert.equal(registry.handshakeMs, 0);
});

test('slow handshakes of a storm that is over are no strain any more', () => {
  const { registry, clock } = house();
  const slow = registry.accept(websocket, null);
  clock.advance(40_000);
  registry.admit(slow);
  assert.equal(registry.handshakeMs, 2_500);
  clock.advance(15_001);
  assert.equal(registry.handshakeMs, 0);
});
