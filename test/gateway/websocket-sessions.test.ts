// Sessions of our own through the relay: their nodes are killed in the middle of the traffic, their sockets stay, and nobody misses
// a message or sees one twice.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Child } from '../../src/cli/child.ts';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { readNotes } from '../../src/cli/swarm/notes.ts';
import { sleep } from '../../src/host/clock.ts';
import { freshName, realRandom } from '../../src/host/random.ts';
import { isClean, Judge } from '../../src/judge/judge.ts';
import { HostedEngine } from '../chaos/engines.ts';
import type { FromClients, FromNode, NodeOrder, ToClients } from '../chaos/messages.ts';
import { RelayStage, until } from './relay-stage.ts';

const CLIENTS = 40;

/** A process with sessions. */
async function startNode(order: NodeOrder): Promise<Child<NodeOrder, FromNode>> {
  const node = new Child<NodeOrder, FromNode>(new URL('../chaos/node-process.js', import.meta.url));
  const ready = new Promise((resolve) => void node.onMessage(resolve));
  node.send(order);
  await Promise.race([ready, node.exited]);
  return node;
}

test('two nodes are killed and started in turn under traffic: no client loses its socket, and no message is lost, repeated or out of order', async () => {
  const fleet = `relay-${freshName().slice(0, 8)}`;
  const ports = await freePorts(2, realRandom);
  await using _engine = await HostedEngine.start(fleet);
  // Clients that are told to move come back to the front.
  await using stage = await RelayStage.open({ ports, websocket: { failover: true, reattachMs: 20_000 } });
  const orders = ports.map((port, i): NodeOrder => ({ kind: 'start', id: `n${i + 1}`, port, address: `127.0.0.1:${stage.port}`, fleet, engine: 'local' }));
  const nodes = await Promise.all(orders.map(startNode));
  const clients = new Child<ToClients, FromClients>(new URL('../chaos/clients-process.js', import.meta.url));
  const judge = new Judge();
  const told: { report: FromClients | null } = { report: null };
  clients.onMessage((report) => {
    told.report = report;
    readNotes(report.notes, judge);
  });
  try {
    const url = `ws://127.0.0.1:${stage.port}/evenkeel`;
    clients.send({ kind: 'start', url, run: fleet, clients: CLIENTS, streams: 20, follows: 3, users: 0 });
    await until(() => told.report?.there === CLIENTS, 'all clients are there', 20_000);
    const before = stage.tally.websockets;
    clients.send({ kind: 'talk', rate: 20, requests: 0 });
    for (let round = 0; round < 4; round++) {
      const victim = round % 2;
      await sleep(700);
      const had = stage.tally.reattached;
      const carried = stage.group.upstreams[victim].active;
      assert.ok(carried > 0, 'the victim carries somebody');
      nodes[victim].kill('SIGKILL');
      await until(() => stage.tally.reattached >= had + carried, `another node for ${carried} clients`);
      await sleep(500);
      nodes[victim] = await startNode(orders[victim]);
      // Half of them go back, by order of the operator, as nobody else brings them.
      for (const { id, upstream } of stage.relay.list().slice(0, CLIENTS / 2))
        if (upstream !== `127.0.0.1:${ports[victim]}`) stage.relay.move(id, `127.0.0.1:${ports[victim]}`);
      await until(() => stage.group.upstreams[victim].active > 0, 'somebody is back');
    }
    clients.send({ kind: 'rest' });
    await until(() => judge.verdict().sent === judge.verdict().acknowledged, 'every message is acknowledged', 20_000);
    await sleep(1_000);
    const verdict = judge.verdict();
    assert.ok(isClean(verdict), verdict.firstFault ?? JSON.stringify(verdict));
    assert.ok(verdict.sent > 1_000 && verdict.delivered > verdict.sent, JSON.stringify(verdict));
    assert.deepEqual([verdict.undecided, verdict.refused, verdict.gaps], [0, 0, 0]);
    assert.deepEqual(told.report?.troubles, {}, 'no link ended');
    assert.equal(stage.tally.websockets, before, 'no client came anew');
    assert.equal(stage.relay.count, CLIENTS);
  } finally {
    clients.kill();
    for (const node of nodes) node.kill('SIGKILL');
    await Promise.all([clients, ...nodes].map(({ exited }) => exited));
  }
});
