// A small node process for the tests of `evenkeel fleet`: a TCP server with clients of its own, on the local engine.
// Arguments: fleet, id, number of clients. Says the address of its admin API once all clients count.
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import { serveAdmin } from '../../src/admin/index.ts';
import { evenkeel } from '../../src/server/index.ts';
import { until } from '../engines/until.ts';

const [fleet, id, clients] = process.argv.slice(2);
const node = evenkeel({ fleet, id, capacity: 3, engine: 'local', drain: { deadlineMs: 600, noticeMs: 0, settleMs: 300 }, rebalance: { stableMs: 0 } });
const server = createServer((socket) => socket.on('error', () => socket.destroy()).resume());
node.attach(server);
const admin = await serveAdmin(node, { port: 0 });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
for (let i = 0; i < Number(clients); i++) {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1', () => client.write('x'));
  client.on('error', () => client.destroy()).resume();
}
await until('all clients count', () => node.status().connections === Number(clients));
// Whoever started this process may be gone: then so is it.
process.on('disconnect', () => process.exit(1));
process.send?.(admin.address);
