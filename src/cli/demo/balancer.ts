// The demo's balancer process: layer 4, with a health check, and no idea of the fleet behind it. It counts what it forwards:
// the truth that the demo measures by.
import { createServer, type Server, type Socket } from 'node:net';
import { seeded } from '../../core/random.ts';
import { realClock } from '../../host/clock.ts';
import { followParent, tellParent } from '../parent.ts';
import { Forwarder, type Backend } from './forwarder.ts';
import { watchHealth } from './health.ts';
import type { FromBalancer, ToBalancer } from './messages.ts';

const SAMPLE_MS = 200;
/** Thousands of clients may knock at once after a crash. */
const BACKLOG = 4_096;

followParent((order) => {
  const message = order as ToBalancer;
  const backends: Backend[] = message.backends.map(({ id, port }) => ({ id, port, passing: false, connections: 0 }));
  const forwarder = new Forwarder(backends, message.policy, seeded(message.seed));
  const tell = (): void => tellParent(sample(backends, forwarder));
  message.backends.forEach(({ door }, i) => void (door !== undefined && listen(door, (client) => forwarder.accept(client, backends[i]))));
  listen(message.port, (client) => forwarder.accept(client)).on('listening', () => {
    tellParent({ kind: 'ready' } satisfies FromBalancer);
    watchHealth(backends, realClock, tell);
    realClock.every(SAMPLE_MS, tell);
  });
});

function listen(port: number, accept: (client: Socket) => void): Server {
  const server = createServer({ allowHalfOpen: true }, accept);
  server.on('error', (error) => tellParent({ kind: 'failed', reason: `port ${port}: ${error.message}` } satisfies FromBalancer));
  return server.listen({ host: '127.0.0.1', port, backlog: BACKLOG });
}

function sample(backends: readonly Backend[], { troubles }: Forwarder): FromBalancer {
  return {
    kind: 'sample',
    connections: Object.fromEntries(backends.map(({ id, connections }) => [id, connections])),
    passing: Object.fromEntries(backends.map(({ id, passing }) => [id, passing])),
    troubles,
  };
}
