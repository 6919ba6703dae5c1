// npm's `http-proxy` in front of one upstream, with keep-alive on both sides, as a process to be measured.
// Run: PORT=8080 UP=9000 node dist/bench/gateway/http-proxy-peer.js
import http from 'node:http';
import { createRequire } from 'node:module';

interface HttpProxy {
  web(request: http.IncomingMessage, response: http.ServerResponse): void;
  on(event: 'error', listener: () => void): void;
}

const { createProxyServer } = createRequire(import.meta.url)('http-proxy') as { createProxyServer: (options: object) => HttpProxy };

const { PORT, UP } = process.env;
const agent = new http.Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 256 });
const proxy = createProxyServer({ target: `http://127.0.0.1:${UP}`, agent, xfwd: true });
proxy.on('error', () => {});
const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => proxy.web(request, response));
server.listen({ port: Number(PORT), host: '127.0.0.1', backlog: 4_096 });
process.on('SIGTERM', () => process.exit(0));
