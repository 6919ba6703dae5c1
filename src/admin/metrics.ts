// Prometheus metrics, and the only file that knows the client library. Nothing is counted here: the hot path keeps plain
// numbers, and they are read when somebody scrapes. What concerns the whole fleet is exported by its coordinator alone.
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { GatewayFacts } from '../gateway/operations.ts';
import { gatewayMetrics, type GatewayMetric, type Sample } from './gateway-metrics.ts';
import type { NodeFacts } from './source.ts';

/** Absent, one number, or one number per value of the label. */
type Reading = number | null | Readonly<Record<string, number>>;

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  readonly read: (facts: NodeFacts) => Reading;
}

const yes = (condition: boolean): number => (condition ? 1 : 0);

const counters: readonly Metric[] = [
  { name: 'evenkeel_connections_opened_total', help: 'Connections that carried a real request; probes do not count.', read: (facts) => facts.opened },
  {
    name: 'evenkeel_connections_closed_total',
    help: 'Connections that ended without an order or a drain: clients that left, age limits, errors.',
    read: (facts) => facts.closed,
  },
  {
    name: 'evenkeel_goodbyes_total',
    help: 'Connections that were told to go, by reason; rebalance counts the moves.',
    label: 'reason',
    read: (facts) => facts.goodbyes,
  },
  {
    name: 'evenkeel_handshakes_refused_total',
    help: 'Handshakes of sessions that were turned away, by what they were told.',
    label: 'answer',
    read: (facts) => facts.refusals,
  },
  {
    name: 'evenkeel_session_hellos_total',
    help: 'Links that were welcomed, by what became of their session; over: the client asked for one that is no more.',
    label: 'outcome',
    read: (facts) => facts.sessions.hellos,
  },
  { name: 'evenkeel_session_gaps_total', help: 'Times that a client was told that a topic has a gap.', read: (facts) => facts.sessions.gaps },
  { name: 'evenkeel_session_moves_total', help: 'Clients that were told where to go, with a ticket.', read: (facts) => facts.sessions.moves },
  { name: 'evenkeel_session_slow_total', help: 'Links that were closed because their clients did not read.', read: (facts) => facts.sessions.slow },
  { name: 'evenkeel_page_reports_total', help: 'Reports of pages that measure themselves.', read: ({ sessions }) => sessions.pages.reports },
  { name: 'evenkeel_page_errors_total', help: 'Uncaught errors and unhandled rejections that pages reported.', read: ({ sessions }) => sessions.pages.errors },
  { name: 'evenkeel_page_reconnects_total', help: 'Links that pages had to make anew.', read: ({ sessions }) => sessions.pages.reconnects },
  {
    name: 'evenkeel_page_events_total',
    help: 'What the seconds of evenkeel_page_seconds_total were measured of.',
    label: 'what',
    read: ({ sessions: { pages } }) => ({
      long_task: pages.longTasks,
      round_trip: pages.roundTrips,
      first_paint: pages.firstPaints,
      first_contentful_paint: pages.firstContentfulPaints,
    }),
  },
  {
    name: 'evenkeel_page_seconds_total',
    help: 'Time that pages reported; over evenkeel_page_events_total it is a mean.',
    label: 'what',
    read: ({ sessions: { pages } }) => ({
      long_task: pages.longTaskMs / 1000,
      round_trip: pages.roundTripMs / 1000,
      first_paint: pages.firstPaintMs / 1000,
      first_contentful_paint: pages.firstContentfulPaintMs / 1000,
    }),
  },
  { name: 'evenkeel_bounces_total', help: 'Connections that arrived under a plan while the node was at or above its target.', read: (facts) => facts.bounced },
  { name: 'evenkeel_forced_total', help: "Connections that were cut by a drain's deadline.", read: (facts) => facts.forced },
];

const nodeGauges: readonly Metric[] = [
  {
    name: 'evenkeel_connections',
    help: 'Open connections, by protocol; those that were told to go are left out.',
    label: 'protocol',
    read: (facts) => facts.connections,
  },
  { name: 'evenkeel_sessions', help: 'Sessions whose newest link is on this node.', read: (facts) => facts.sessions.open },
  { name: 'evenkeel_session_streams', help: 'Streams that this node follows for its clients.', read: (facts) => facts.sessions.streams },
  { name: 'evenkeel_connections_leaving', help: 'Connections that were told to go and are still open.', read: (facts) => facts.leaving },
  {
    name: 'evenkeel_unmovable',
    help: 'Connections that cannot be told to go now: silent HTTP, long responses, pinned, at rest after a move.',
    read: (facts) => facts.unmovable,
  },
  { name: 'evenkeel_target', help: "The node's fair share now; absent while no order is in force, as in a fleet that is even.", read: (facts) => facts.target },
  { name: 'evenkeel_load', help: "The node's load score; 1 is full, unless the application reports a number of its own.", read: (facts) => facts.load },
  { name: 'evenkeel_capacity', help: 'How much of the whole the node should carry, relative to the others.', read: (facts) => facts.capacity },
  { name: 'evenkeel_strain_event_loop_delay_seconds', help: 'Moving average of the delay of the event loop.', read: (facts) => facts.eventLoopDelayMs / 1000 },
  {
    name: 'evenkeel_strain_handshake_seconds',
    help: 'Moving average of the time from accept to the first real request.',
    read: (facts) => facts.handshakeMs / 1000,
  },
  {
    name: 'evenkeel_strain_refused_per_second',
    help: 'Handshakes turned away per second over the last five; those of single addresses that ask too often are left out.',
    read: (facts) => facts.refusedPerS,
  },
  {
    name: 'evenkeel_rotation',
    help: 'Whether the balancer should send new connections here: 1 in rotation, 0 out.',
    read: (facts) => yes(facts.rotation === 'in'),
  },
  { name: 'evenkeel_draining', help: 'Whether the node is being emptied, or was: 1 or 0.', read: (facts) => yes(facts.draining) },
  {
    name: 'evenkeel_engine_up',
    help: 'Whether the engine answers; while it does not, the node serves and sheds nothing.',
    read: (facts) => yes(facts.engineUp),
  },
  {
    name: 'evenkeel_coordinator',
    help: 'Whether this node coordinates the fleet: 1 on one node, 0 on the others.',
    read: (facts) => yes(facts.coordination !== null),
  },
];

const fleetGauges: readonly Metric[] = [
  {
    name: 'evenkeel_imbalance',
    help: 'Largest connections / target over the nodes; 1 is even. Exported by the coordinator.',
    read: (facts) => facts.coordination?.imbalance ?? null,
  },
  {
    name: 'evenkeel_moves_in_flight',
    help: 'Moves that were told and have not landed yet. Exported by the coordinator.',
    read: (facts) => facts.coordination?.inFlight ?? null,
  },
  {
    name: 'evenkeel_pace_per_second',
    help: 'Moves that may start in the whole fleet per second. Exported by the coordinator.',
    read: (facts) => facts.coordination?.pacePerS ?? null,
  },
  {
    name: 'evenkeel_plan_active',
    help: 'Whether a plan is being carried out: 1 or 0. Exported by the coordinator.',
    read: (facts) => fleetFlag(facts, 'planActive'),
  },
  {
    name: 'evenkeel_rebalancing_waiting',
    help: 'Whether rebalancing waits (paused, settling, a drain, ineffective ...): 1 or 0. Exported by the coordinator.',
    read: (facts) => fleetFlag(facts, 'waiting'),
  },
  {
    name: 'evenkeel_stuck',
    help: 'Connections above target that cannot be moved now. Exported by the coordinator.',
    read: (facts) => facts.coordination?.stuck ?? null,
  },
];

export interface MetricsOptions {
  readonly processMetrics: boolean;
  readonly gateway?: (() => GatewayFacts) | null | undefined;
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #read: () => NodeFacts;
  readonly #readGateway: (() => GatewayFacts) | null;
  #facts: NodeFacts;
  #gatewayFacts: GatewayFacts | null;

  /** `gateway`: what the gateway of this process counts, null: it is none. `processMetrics` adds what the client library knows of the Node process. */
  constructor(read: () => NodeFacts, options: MetricsOptions) {
    this.#read = read;
    this.#readGateway = options.gateway ?? null;
    this.#facts = read();
    this.#gatewayFacts = this.#readGateway?.() ?? null;
    this.#addInfo();
    for (const metric of counters) this.#addCounter(metric);
    for (const metric of nodeGauges) this.#addGauge(metric);
    for (const metric of fleetGauges) this.#addFleetGauge(metric);
    if (this.#readGateway !== null) for (const metric of gatewayMetrics) this.#addOfGateway(metric);
    if (options.processMetrics) collectDefaultMetrics({ register: this.#registry });
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** The text that Prometheus reads. The node is looked at once, so that all figures are of one moment. */
  render(): Promise<string> {
    this.#facts = this.#read();
    this.#gatewayFacts = this.#readGateway?.() ?? null;
    return this.#registry.metrics();
  }

  #addInfo(): void {
    const now = (): NodeFacts => this.#facts;
    this.#registry.registerMetric(
      new Gauge({
        name: 'evenkeel_node_info',
        help: 'Who this node is; always 1.',
        labelNames: ['fleet', 'node', 'version', 'address'],
        registers: [],
        collect() {
          const { fleet, node, version, address } = now();
          this.set({ fleet, node, version, address }, 1);
        },
      }),
    );
  }

  #addCounter(metric: Metric): void {
    this.#register({ ...metric, labels: labelNames(metric), type: 'counter' }, () => samplesOf(metric, this.#facts));
  }

  #addGauge(metric: Metric): void {
    this.#register({ ...metric, labels: labelNames(metric), type: 'gauge' }, () => samplesOf(metric, this.#facts));
  }

  #addOfGateway(metric: GatewayMetric): void {
    this.#register(metric, () => (this.#gatewayFacts === null ? [] : metric.read(this.#gatewayFacts)));
  }

  #register({ name, help, labels, type }: Pick<GatewayMetric, 'name' | 'help' | 'labels' | 'type'>, samples: () => readonly Sample[]): void {
    const described = { name, help, labelNames: [...labels], registers: [] };
    if (type === 'counter') {
      this.#registry.registerMetric(
        new Counter({
          ...described,
          collect() {
            this.reset();
            for (const { labels, value } of samples()) this.inc(labels, value);
          },
        }),
      );
      return;
    }
    this.#registry.registerMetric(
      new Gauge({
        ...described,
        collect() {
          this.reset();
          const now = samples();
          // `reset` leaves a 0 behind where there is no label; absent must not read as 0.
          if (now.length === 0 && labels.length === 0) this.remove();
          for (const { labels, value } of now) this.set(labels, value);
        },
      }),
    );
  }

  /** Carries the fleet's name, because one Prometheus may look after several fleets. */
  #addFleetGauge(metric: Metric): void {
    const { name, help, read } = metric;
    this.#addGauge({
      name,
      help,
      label: 'fleet',
      read: (facts) => {
        const value = read(facts);
        return typeof value === 'number' ? { [facts.fleet]: value } : null;
      },
    });
  }
}

function samplesOf(metric: Metric, facts: NodeFacts): Sample[] {
  const reading = metric.read(facts);
  if (reading === null) return [];
  if (typeof reading === 'number') return [{ labels: {}, value: reading }];
  return Object.entries(reading).map(([key, value]) => ({ labels: { [metric.label ?? 'kind']: key }, value }));
}

const labelNames = (metric: Metric): string[] => (metric.label === undefined ? [] : [metric.label]);

function fleetFlag(facts: NodeFacts, name: 'planActive' | 'waiting'): number | null {
  return facts.coordination === null ? null : yes(facts.coordination[name]);
}
