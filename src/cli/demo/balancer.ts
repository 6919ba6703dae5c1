// The demo's balancer process: layer 4, with a health check, and no idea of the fleet behind it. It counts what it forwards:
// the truth that the demo measures by.
import { createServer } from 'node:net';
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
  const server = createServer({ allowHalfOpen: true }, (client) => forwarder.accept(client));
  server.on('error', (error) => tellParent({ kind: 'failed', reason: error.message } satisfies FromBalancer));
  server.listen({ host: '127.0.0.1', port: message.port, backlog: BACKLOG }, () => {
    tellParent({ kind: 'ready' } satisfies FromBalancer);
    watchHealth(backends, realClock, tell);
    realClock.every(SAMPLE_MS, tell);
  });
});

function sample(backends: readonly Backend[], { troubles }: Forwarder): FromBalancer {
  return {
    kind: 'sample',
    connections: Object.fromEntries(backends.map(({ id, connections }) => [id, connections])),
    passing: Object.fromEntries(backends.map(({ id, passing }) => [id, passing])),
    troubles,
  };
}
