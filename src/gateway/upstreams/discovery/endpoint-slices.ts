// What the EndpointSlices of a service mean: who is ready takes something new, who terminates is left, who is neither keeps what it
// has. The slices of a service are one list, and an endpoint may stand in two of them while it moves.
import { isIP } from 'node:net';
import { nameOf, type Listed } from './source.ts';

/** The parts of discovery.k8s.io/v1 EndpointSlice that count here; everything may be missing in what a server sends. */
export interface EndpointSlice {
  readonly metadata?: { readonly name?: string; readonly resourceVersion?: string };
  readonly endpoints?: readonly Endpoint[] | null;
  readonly ports?: readonly { readonly name?: string | null; readonly port?: number | null; readonly protocol?: string | null }[] | null;
}

interface Endpoint {
  readonly addresses?: readonly string[] | null;
  readonly conditions?: { readonly ready?: boolean | null; readonly serving?: boolean | null; readonly terminating?: boolean | null } | null;
}

/** Name or number of the port; null: the first of the slice. In the order of the slices' names, so that the list keeps its order. */
export function upstreamsOf(slices: ReadonlyMap<string, EndpointSlice>, port: string | number | null): readonly Listed[] {
  const found = new Map<string, Listed>();
  for (const [, slice] of [...slices].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const number = portOf(slice, port);
    if (number === null) continue;
    for (const endpoint of slice.endpoints ?? []) {
      // All addresses of an endpoint are the same one; the first is the one to use.
      const host = endpoint.addresses?.[0];
      if (typeof host !== 'string' || !isHost(host)) continue;
      const address = { host, port: number };
      const name = nameOf(address);
      const state = stateOf(endpoint);
      const known = found.get(name);
      if (known === undefined || rank[state] > rank[known.state]) found.set(name, { name, address, weight: 1, state });
    }
  }
  return [...found.values()];
}

/** Whoever stands in two slices is what the better one says: the other is on its way out. */
const rank = { up: 2, draining: 1, out: 0 } as const;

const isHost = (host: string): boolean => isIP(host) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9.-]{0,253})$/.test(host);

/** Conditions that are not told count as the API says: ready, and not terminating. */
function stateOf({ conditions }: Endpoint): Listed['state'] {
  if (conditions?.terminating === true) return 'draining';
  return conditions?.ready === false ? 'out' : 'up';
}

function portOf({ ports }: EndpointSlice, wanted: string | number | null): number | null {
  // No list of ports means every port.
  if (ports === null || ports === undefined || ports.length === 0) return typeof wanted === 'number' ? wanted : null;
  const tcp = ports.filter(({ protocol }) => protocol === undefined || protocol === null || protocol === 'TCP');
  const match = wanted === null ? tcp[0] : tcp.find((one) => (typeof wanted === 'number' ? one.port === wanted : one.name === wanted));
  return typeof match?.port === 'number' ? match.port : null;
}
