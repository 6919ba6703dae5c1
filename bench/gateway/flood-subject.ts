// The whole gateway with limits per address or without, as a process of its own, that tells its memory and whom it turned away.
// The upstream is of another process.
import { gatewaySettings, openGateway } from '../../src/gateway/index.ts';

const [upstream, perAddress] = process.argv.slice(2).map(Number);
/** Of others as well, who come 100 times a second. */
const PER_S = 200;
const limited = perAddress > 0 ? { perAddress, perAddressPerS: PER_S } : {};
const gateway = await openGateway(
  gatewaySettings({
    listeners: ['127.0.0.1:0'],
    groups: { web: { upstreams: [`127.0.0.1:${upstream}`] } },
    limits: { connections: 18_000, ...limited },
  }),
);
process.on('message', () => process.send?.({ rss: process.memoryUsage.rss(), open: gateway.guard.counts.open }));
process.on('disconnect', () => process.exit());
process.send?.(gateway.listening[0].listen.port);
