// What a node says of itself to its fleet.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../core/clock.ts';
import { silentLog } from '../core/log.ts';
import { seeded } from '../core/random.ts';
import type { Transport } from '../connections/connection.ts';
import { memoryEngine } from '../engine/memory.ts';
import { FleetNode } from './node.ts';
import { readNodeOptions } from './options.ts';

const transport = { protocol: 'websocket', manner: 'told' } as Transport;

/** A node with `open` connections, `directed` of which can be told where to go. */
function nodeWith(open: number, directed: number): FleetNode {
  const clock = new VirtualClock();
  const engine = memoryEngine({ clock });
  const node = new FleetNode(readNodeOptions({ id: 'n1' }), {
    engine,
    clock,
    random: seeded(1),
    log: silentLog,
    incarnation: 'first',
    sampleLoad: () => ({ eventLoopDelayMs: 0, cpu: 0 }),
  });
  node.receivesDirected = true;
  for (let i = 0; i < open; i++) {
    const connection = node.registry.accept(transport, null);
    node.registry.admit(connection);
    if (i < directed) node.registry.direct(connection);
  }
  return node;
}

test('a node is planned for as directed from half of its connections on: the requests of its pages do not change that', () => {
  assert.equal(nodeWith(10, 5).record().directed, true);
  assert.equal(nodeWith(10, 4).record().directed, false);
});

test('a node that lets nobody in by ticket is never directed, whatever its clients understand', () => {
  const node = nodeWith(10, 10);
  node.receivesDirected = false;
  assert.equal(node.record().directed, false);
});
