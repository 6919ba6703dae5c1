// What the demo was asked to do, checked against what this machine can do.
import { EvenkeelError } from '../../core/errors.ts';

export const balancerPolicies = ['random', 'round-robin', 'least-connections'] as const;
export type BalancerPolicy = (typeof balancerPolicies)[number];

export const demoProtocols = ['http', 'websocket', 'session'] as const;
export type DemoProtocol = (typeof demoProtocols)[number];

export interface DemoOptions {
  readonly servers: number;
  readonly clients: number;
  readonly protocol: DemoProtocol;
  readonly heartbeatMs: number;
  readonly balancer: BalancerPolicy;
  readonly rebalance: 'on' | 'off';
  /** `local`, or the URL of a Redis. */
  readonly engine: string;
  readonly seed: number;
}

export interface MachineLimits {
  readonly files: number | null;
  readonly ports: number | null;
}

/** Files that the balancer or a server needs besides those of its connections. */
const OWN_FILES = 200;
/** Part of the ports that connections on their way out do not occupy. */
const USABLE_PORTS = 0.9;

/** Throws EVENKEEL_TOO_MANY_CLIENTS with the number that fits. */
export function mustFit(clients: number, machine: MachineLimits): void {
  const { files, ports } = machine;
  const byFiles = files === null ? Infinity : Math.max(0, Math.floor((files - OWN_FILES) / 2));
  const byPorts = ports === null ? Infinity : Math.floor(ports * USABLE_PORTS);
  const fits = Math.min(byFiles, byPorts);
  if (clients <= fits) return;
  // A server that is left alone needs one file per client, the balancer two: its limit is met first.
  const why =
    byFiles <= byPorts
      ? `the balancer opens two files per client, and a process may open ${files} (ulimit -n)`
      : `connections to one address need a port each, and this machine has ${ports} (net.ipv4.ip_local_port_range)`;
  throw new EvenkeelError('EVENKEEL_TOO_MANY_CLIENTS', `--clients must be at most ${fits} here, because ${why}, got ${clients}`);
}
