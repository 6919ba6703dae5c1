// One server of the chat: lets sessions in, and takes what people say on the topic of their room.
import { createServer } from 'node:http';
import { evenkeel } from 'evenkeel';

const [fleet, id, port] = process.argv.slice(2);
const server = createServer((_request, response) => response.writeHead(404).end());
const node = evenkeel({ fleet, id, engine: 'local', address: `ws://127.0.0.1:${port}/evenkeel` });
node.attach(server);
node.sessions(server, {
  // The page has another port than the servers.
  origins: 'any',
  // A real chat looks the token up; here people are who they say they are.
  authenticate: ({ token }) => (token ? { user: token } : null),
  authorize: ({ topic }) => topic.startsWith('room/') || topic.startsWith('@presence/room/'),
});
server.listen(Number(port), '127.0.0.1', () => process.send?.('up'));
process.on('disconnect', () => process.exit());
