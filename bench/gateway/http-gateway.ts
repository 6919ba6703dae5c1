// The HTTP proxy of the gateway in front of one upstream, as a process to be measured.
// Run: PORT=8080 UP=9000 node dist/bench/gateway/http-gateway.js
import { FakeGroup, FakeUpstream, stand } from '../../test/gateway/stand.ts';

const { PORT, UP } = process.env;
const group = new FakeGroup([new FakeUpstream({ host: '127.0.0.1', port: Number(UP) }, false)]);
const { server } = stand(group);
server.listen({ port: Number(PORT), host: '127.0.0.1', backlog: 4_096 });
process.on('SIGTERM', () => process.exit(0));
