// A server process of the tests for Socket.IO: its adapter keeps sessions and packets in the Redis of the fleet. A room is joined by
// clients that were not recovered only: the others must still be in it.
import { createServer } from 'node:http';
import { createClient, type RedisClientType } from '@redis/client';
import { Server } from 'socket.io';
import { serveAdmin } from '../../src/admin/index.ts';
import { evenkeel, type EvenkeelOptions } from '../../src/server/index.ts';
import { gaplessAdapter } from './gapless-adapter.ts';
import type { Fact, Listening, NodeOrder } from './node-messages.ts';

const ROOM = 'listeners';

const tell = (level: Fact['level'], facts: object, message: string): void => {
  process.stderr.write(`${JSON.stringify({ ...facts, level, msg: message } satisfies Fact)}\n`);
};

process.on('disconnect', () => process.exit(1));
process.once('message', (order) => void run(order as NodeOrder));

async function run({ id, port, fleet, engine, options }: NodeOrder): Promise<void> {
  const node = evenkeel({
    fleet,
    id,
    address: `127.0.0.1:${port}`,
    engine,
    log: {
      debug: () => {},
      info: (facts, message) => tell('info', facts, message),
      warn: (facts, message) => tell('warn', facts, message),
      error: (facts, message) => tell('error', facts, message),
    },
    ...(options as EvenkeelOptions),
  });
  const redis: RedisClientType = createClient({ url: engine });
  await redis.connect();
  const server = createServer((_, response) => void response.writeHead(404).end());
  const io = new Server(server, { connectionStateRecovery: {}, adapter: gaplessAdapter(redis) });
  node.attach(server);
  node.attach(io);
  io.on('connection', (socket) => {
    socket.on('where', (answer: (name: string) => void) => answer(id));
    if (!socket.recovered) void socket.join(ROOM);
  });
  const admin = await serveAdmin(node, { port: 0 });
  server.listen({ host: '127.0.0.1', port }, () => process.send?.({ admin: admin.address } satisfies Listening));
}
