// The metrics of a gateway: what each is called and where its number is read.
import type { GatewayFacts, UpstreamRow } from '../gateway/operations.ts';

/** One number with its labels. */
export interface Sample {
  readonly labels: Record<string, string>;
  readonly value: number;
}

export interface GatewayMetric {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge';
  readonly labels: readonly string[];
  read(facts: GatewayFacts): readonly Sample[];
}

const one = (value: number): readonly Sample[] => [{ labels: {}, value }];

/** One sample per entry, under the label. */
const each = (label: string, values: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value }));

const perUpstream = ({ upstreams }: GatewayFacts, value: (row: UpstreamRow) => number | null): Sample[] =>
  upstreams.flatMap((row) => {
    const number = value(row);
    return number === null ? [] : [{ labels: { group: row.group, upstream: row.name }, value: number }];
  });

const total = { type: 'counter', labels: [] } as const;
const now = { type: 'gauge', labels: [] } as const;
const ofUpstream = ['group', 'upstream'] as const;

const traffic: readonly GatewayMetric[] = [
  { name: 'evenkeel_gateway_requests_total', help: 'Requests that came, whatever became of them.', ...total, read: ({ tally }) => one(tally.requests) },
  {
    name: 'evenkeel_gateway_refused_total',
    help: 'Requests that the gateway answered itself with an error, by status.',
    type: 'counter',
    labels: ['status'],
    read: ({ tally }) => [...tally.refused].map(([status, value]) => ({ labels: { status: String(status) }, value })),
  },
  { name: 'evenkeel_gateway_retries_total', help: 'Further tries at another upstream.', ...total, read: ({ tally }) => one(tally.retries) },
  { name: 'evenkeel_gateway_tunnels_total', help: 'TCP connections that were carried.', ...total, read: ({ tally }) => one(tally.tunnels) },
  { name: 'evenkeel_gateway_websockets_total', help: 'WebSockets that were relayed.', ...total, read: ({ tally }) => one(tally.websockets) },
  {
    name: 'evenkeel_gateway_reattached_total',
    help: 'WebSockets that lost their upstream, by whether another took over.',
    type: 'counter',
    labels: ['outcome'],
    read: ({ tally }) => each('outcome', { ok: tally.reattached, failed: tally.reattachFailed }),
  },
  {
    name: 'evenkeel_gateway_steered_total',
    help: 'Clients that were sent straight to an upstream, by how.',
    type: 'counter',
    labels: ['kind'],
    read: ({ tally }) => each('kind', { redirect: tally.redirects, assign: tally.assignments }),
  },
  { name: 'evenkeel_gateway_websockets', help: 'WebSockets that are relayed now.', ...now, read: ({ websockets }) => one(websockets) },
  { name: 'evenkeel_gateway_tunnels', help: 'TCP connections that are carried now.', ...now, read: ({ tunnels }) => one(tunnels) },
];

const door: readonly GatewayMetric[] = [
  { name: 'evenkeel_gateway_connections', help: 'Client connections that are open.', ...now, read: ({ guard }) => one(guard.open) },
  { name: 'evenkeel_gateway_accepted_total', help: 'Client connections that were let in.', ...total, read: ({ guard }) => one(guard.accepted) },
  {
    name: 'evenkeel_gateway_connections_refused_total',
    help: 'Client connections that a limit kept out, by limit.',
    type: 'counter',
    labels: ['limit'],
    read: ({ guard }) => each('limit', guard.refused),
  },
  {
    name: 'evenkeel_gateway_lost_at_door_total',
    help: 'Client connections that no proxy saw, by why.',
    type: 'counter',
    labels: ['why'],
    read: ({ doors }) =>
      each('why', { 'proxy-header': doors.badProxyHeaders, handshake: doors.failedHandshakes, silent: doors.silent, http2: doors.refusedHttp2 }),
  },
  {
    name: 'evenkeel_gateway_dials_total',
    help: 'Connections to upstreams that were tried, by what became of them.',
    type: 'counter',
    labels: ['outcome'],
    read: ({ dials }) => each('outcome', { ready: dials.ready, ...dials.failed }),
  },
  {
    name: 'evenkeel_gateway_dns_total',
    help: 'DNS queries, by what became of them; absent where no zone is served.',
    type: 'counter',
    labels: ['outcome'],
    read: ({ dns }) => (dns === null ? [] : each('outcome', { ...dns })),
  },
];

const upstreams: readonly GatewayMetric[] = [
  {
    name: 'evenkeel_group_pressure',
    help: 'Part of maxActive that is in use; 0 without a limit, 1 when nobody takes anything.',
    type: 'gauge',
    labels: ['group'],
    read: ({ groups }) => groups.map(({ name, pressure }) => ({ labels: { group: name }, value: pressure })),
  },
  {
    name: 'evenkeel_upstream_active',
    help: 'Requests, tunnels and WebSockets that it carries now.',
    type: 'gauge',
    labels: ofUpstream,
    read: (facts) => perUpstream(facts, ({ active }) => active),
  },
  {
    name: 'evenkeel_upstream_weight',
    help: 'Its weight as configured or told by an operator.',
    type: 'gauge',
    labels: ofUpstream,
    read: (facts) => perUpstream(facts, ({ weight }) => weight),
  },
  {
    name: 'evenkeel_upstream_state',
    help: 'Its state, which is 1; the others are absent.',
    type: 'gauge',
    labels: [...ofUpstream, 'state'],
    read: ({ upstreams }) => upstreams.map(({ group, name, state }) => ({ labels: { group, upstream: name, state }, value: 1 })),
  },
  {
    name: 'evenkeel_upstream_latency_seconds',
    help: 'Moving average of the time to an answer, or to a connection; absent before the first.',
    type: 'gauge',
    labels: ofUpstream,
    read: (facts) => perUpstream(facts, ({ latencyMs }) => (latencyMs === null ? null : latencyMs / 1000)),
  },
  {
    name: 'evenkeel_upstream_begun_total',
    help: 'Requests, tunnels and WebSockets that it was given.',
    type: 'counter',
    labels: ofUpstream,
    read: (facts) => perUpstream(facts, ({ begun }) => begun),
  },
  {
    name: 'evenkeel_upstream_ended_total',
    help: 'What it carried, by how it ended; aborted: by the client.',
    type: 'counter',
    labels: [...ofUpstream, 'outcome'],
    read: ({ upstreams }) =>
      upstreams.flatMap(({ group, name, ok, failed, aborted }) =>
        Object.entries({ ok, failed, aborted }).map(([outcome, value]) => ({ labels: { group, upstream: name, outcome }, value })),
      ),
  },
];

export const gatewayMetrics: readonly GatewayMetric[] = [...traffic, ...door, ...upstreams];
