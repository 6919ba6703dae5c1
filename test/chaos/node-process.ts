// A node of the fleet under chaos: it serves sessions, keeps enough history for everybody to come back, sends those who read
// slowly back to it soon, and ends as it is told.
import { createServer } from 'node:http';
import { followParent, tellParent } from '../../src/cli/parent.ts';
import { localEngine } from '../../src/engine/local.ts';
import { evenkeel } from '../../src/server/index.ts';
import type { Ready, ToNode } from './messages.ts';

followParent((order) => {
  const { id, port, address, fleet, engine } = order as ToNode;
  const node = evenkeel({
    fleet,
    id,
    address,
    engine: engine === 'local' ? localEngine({ name: fleet, role: 'join' }) : engine,
    // Links that say nothing any more are given up soon; drains are short.
    limits: { pingMs: 1_000, deadMs: 3_000 },
    drain: { noticeMs: 100, deadlineMs: 4_000 },
    rebalance: { movesPerConnection: null },
  });
  const server = createServer((_, response) => response.writeHead(404).end());
  node.sessions(server, { origins: 'any', historyCount: 100_000, historyMs: 600_000, resumeMs: 120_000, unsentBytes: 16_384 });
  server.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => tellParent({ kind: 'ready' } satisfies Ready));
});
