// A layer-4 proxy behind a real door, with real dialer, registry and retirement, in front of whatever upstreams a test brings.
import { openDialer, type CountingDialer } from '../../src/gateway/dialer.ts';
import { openDoor } from '../../src/gateway/door/door.ts';
import { Guard } from '../../src/gateway/door/guard.ts';
import { freshTally, type Dialer, type Router, type Tally } from '../../src/gateway/ports.ts';
import type { GroupSettings, ListenerSettings, Timeouts } from '../../src/gateway/settings.ts';
import { openTcpProxy, type TcpProxy } from '../../src/gateway/tcp/tcp-proxy.ts';
import { realClock } from '../../src/host/clock.ts';
import { ports, type Fixture, type PortsOptions } from '../transports/fixture.ts';
import { listener, TurnGroup, type CountedUpstream } from './fixture.ts';

export interface TcpStageOptions extends PortsOptions {
  readonly group?: Partial<GroupSettings>;
  readonly timeouts?: Partial<Timeouts>;
  readonly listener?: Partial<ListenerSettings>;
  readonly dialer?: Dialer;
}

export interface TcpStage extends Disposable {
  readonly port: number;
  readonly node: Fixture;
  readonly group: TurnGroup;
  readonly proxy: TcpProxy;
  readonly dialer: CountingDialer;
  readonly tally: Tally;
}

const usual: Timeouts = {
  handshakeMs: 2_000,
  clientHeadMs: 2_000,
  clientBodyMs: 2_000,
  clientBodyRate: 0,
  clientIdleMs: 2_000,
  clientSendMs: 2_000,
  connectMs: 2_000,
  upstreamReadMs: 2_000,
  tunnelMs: 0,
};

export async function tcpStage(upstreams: readonly CountedUpstream[], options: TcpStageOptions = {}): Promise<TcpStage> {
  const node = ports(options);
  const group = new TurnGroup(upstreams, options.group);
  const timeouts = { ...usual, ...options.timeouts };
  const tally = freshTally();
  const router: Router = { route: () => null, ask: () => ({ key: null, sticky: null, without: null }), group: () => group, priorities: () => [] };
  const dialer = openDialer({ clock: realClock, timeouts });
  const { clock, log } = node;
  const proxy = openTcpProxy('web', { clock, log, transport: node, router, dialer: options.dialer ?? dialer, timeouts, tally });
  const guard = new Guard({ connections: 10_000, perAddress: null, perAddressPerS: null }, realClock);
  const where = listener({ protocol: 'tcp', group: 'web', ...options.listener });
  const door = await openDoor(where, { clock: realClock, log, guard, timeouts, acceptors: { tcp: proxy } });
  node.retirement.start();
  return {
    port: door.address().port,
    node,
    group,
    proxy,
    dialer,
    tally,
    [Symbol.dispose]: () => {
      node.retirement.stop();
      door.close();
      proxy.close();
    },
  };
}
