// The whole gateway in front of one upstream, as a process to be measured: door, guard, router, group and proxy, as the command opens them.
// Run: PORT=8080 UP=9000 node dist/bench/gateway/http-gateway.js
import { gatewaySettings, openGateway } from '../../src/gateway/index.ts';

const { PORT, UP } = process.env;
await openGateway(
  gatewaySettings({
    listeners: [`127.0.0.1:${PORT}`],
    groups: { web: { upstreams: [`127.0.0.1:${UP}`] } },
    limits: { connections: 100_000 },
  }),
);
process.on('SIGTERM', () => process.exit(0));
