// A node of the fleet under chaos: it serves sessions, keeps enough history for everybody to come back, sends those who read
// slowly back to it soon, and ends as it is told.
import { createServer } from 'node:http';
import { followParent, tellParent } from '../../src/cli/parent.ts';
import { silentLog } from '../../src/core/log.ts';
import type { Engine } from '../../src/engine/engine.ts';
import { localEngine } from '../../src/engine/local.ts';
import { openEngine } from '../../src/engine/open.ts';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import { evenkeel } from '../../src/server/index.ts';
import { answerRequests, telling } from './answering.ts';
import type { RequestEvent } from '../../src/judge/request-judge.ts';
import type { FromNode, ToNode } from './messages.ts';

followParent((order) => {
  const { id, port, address, fleet } = order as ToNode;
  const node = evenkeel({
    fleet,
    id,
    address,
    engine: telling(engineOf(order as ToNode), tellSafely),
    // Links that say nothing any more are given up soon; drains are short.
    limits: { pingMs: 1_000, deadMs: 3_000 },
    drain: { noticeMs: 100, deadlineMs: 4_000 },
    rebalance: { movesPerConnection: null },
  });
  const server = createServer((_, response) => response.writeHead(404).end());
  const sessions = node.sessions(server, { origins: 'any', historyCount: 100_000, historyMs: 600_000, resumeMs: 120_000, unsentBytes: 16_384 });
  answerRequests(sessions, tellSafely);
  server.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => tellParent({ kind: 'ready' } satisfies FromNode));
});

function engineOf({ fleet, engine }: ToNode): Engine {
  if (engine === 'local') return localEngine({ name: fleet, role: 'join' });
  return openEngine(engine, { fleet, clock: realClock, random: realRandom, log: silentLog });
}

function tellSafely(event: RequestEvent): Promise<void> {
  return new Promise((resolve) => void process.send?.({ kind: 'request', event } satisfies FromNode, undefined, undefined, () => resolve()));
}
