// A server process with sessions, for tests that kill one: a node of a fleet that its parent names, on a port that its parent knows.
// Asked by a message, it says how much memory it needs, and how much it has.
import { createServer } from 'node:http';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { evenkeel, type EvenkeelOptions } from '../../src/server/index.ts';
import type { SessionsOptions } from '../../src/server/sessions/index.ts';

export interface SessionServerOrder {
  readonly port: number;
  readonly options: EvenkeelOptions;
  readonly sessions: SessionsOptions;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** What is in use once the garbage is gone, whose amount is the collector's business. */
function liveBytes(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

process.on('disconnect', () => process.exit(0));
process.once('message', (message) => {
  const { port, options, sessions } = message as SessionServerOrder;
  const server = createServer((_, response) => response.writeHead(404).end());
  const node = evenkeel({ ...options, address: `ws://127.0.0.1:${port}/evenkeel` });
  node.attach(server);
  node.sessions(server, sessions);
  server.listen({ port, host: '127.0.0.1', backlog: 4_096 }, () => process.send?.(0));
  process.on('message', (what) => {
    if (what === 'drain') void node.drain();
    else process.send?.({ live: liveBytes(), resident: process.memoryUsage().rss });
  });
});
