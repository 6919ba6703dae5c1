// A node of the fleet under chaos: it serves sessions, keeps enough history for everybody to come back, sends those who read
// slowly back to it soon, answers requests and sends to inboxes, tells of it, and ends as it is told.
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
import type { FromNode, NodeOrder, ToNode } from './messages.ts';
import { Sender } from './sending.ts';

let sender: Sender | null = null;

followParent((order) => {
  const message = order as ToNode;
  if (message.kind === 'start') sender = start(message);
  else if (message.kind === 'send') void sender?.run(message);
  else sender?.rest();
});

function start(order: NodeOrder): Sender {
  const { id, port, address, fleet } = order;
  const node = evenkeel({
    fleet,
    id,
    address,
    engine: telling(engineOf(order), tell),
    // Links that say nothing any more are given up soon; drains are short.
    limits: { pingMs: 1_000, deadMs: 3_000 },
    drain: { noticeMs: 100, deadlineMs: 4_000 },
    rebalance: { movesPerConnection: null },
  });
  const server = createServer((_, response) => response.writeHead(404).end());
  const sessions = node.sessions(server, {
    authenticate: ({ token }) => ({ user: token }),
    origins: 'any',
    historyCount: 100_000,
    historyMs: 600_000,
    resumeMs: 120_000,
    unsentBytes: 16_384,
    presenceMs: 3_000,
  });
  answerRequests(sessions, tell);
  server.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => tellParent({ kind: 'ready' } satisfies FromNode));
  return new Sender(sessions, tell);
}

function engineOf({ fleet, engine }: NodeOrder): Engine {
  if (engine === 'local') return localEngine({ name: fleet, role: 'join' });
  return openEngine(engine, { fleet, clock: realClock, random: realRandom, log: silentLog });
}

/** Resolves when it is out of the process. */
function tell(message: FromNode): Promise<void> {
  return new Promise((resolve) => void process.send?.(message, undefined, undefined, () => resolve()));
}
