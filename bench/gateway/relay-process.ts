// The whole gateway in front of servers of WebSockets, as a process to be measured. It tells its counts to a parent that asks, and
// collects its garbage on SIGUSR2.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gatewaySettings, openGateway } from '../../src/gateway/index.ts';
import { sleep } from '../../src/host/clock.ts';
import { followOrders } from '../sessions/worker.ts';

export interface RelayGiven {
  /** 0: any. */
  readonly port: number;
  readonly upstreams: readonly number[];
  readonly failover: boolean;
}

export interface RelayTold {
  readonly port: number;
  readonly open: number;
  readonly reattached: number;
  readonly upstreams: readonly number[];
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

const { port, upstreams, failover } = JSON.parse(process.argv[2]) as RelayGiven;
const gateway = await openGateway(
  gatewaySettings({
    listeners: [`127.0.0.1:${port}`],
    groups: { web: { upstreams: upstreams.map((upstream) => `127.0.0.1:${upstream}`), websocket: { failover, reattachMs: 10_000 } } },
    limits: { connections: 100_000 },
  }),
);
const told = (): RelayTold => ({
  port: gateway.listening[0].listen.port,
  open: gateway.relay.count,
  reattached: gateway.tally.reattached,
  upstreams: (gateway.groups.get('web')?.upstreams ?? []).map(({ active }) => active),
});
process.send?.(told());

/** Twice, with a pause: what only a finalizer holds goes with the second. */
async function clean(): Promise<void> {
  collect();
  await sleep(300);
  collect();
}

process.on('SIGUSR2', () => void clean().then(() => console.log(`GC ${JSON.stringify(process.memoryUsage())}`)));
process.on('SIGTERM', () => process.exit(0));
followOrders(async (order) => {
  if ((order as { readonly clean?: boolean }).clean === true) await clean();
  return told();
});
