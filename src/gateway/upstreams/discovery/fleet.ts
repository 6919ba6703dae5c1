// The nodes of a fleet as upstreams: their records say where they are, how much they can carry, and when they drain. A node that fell
// silent takes nothing new; when all of them do, or the engine cannot be reached, it is the engine that is at fault, and the last
// list holds.
import { EvenkeelError } from '../../../core/errors.ts';
import { emptyView, observe, type Seen, type View } from '../../../core/membership.ts';
import { RECORD_INTERVAL_MS } from '../../../cluster/member.ts';
import { openEngine } from '../../../engine/open.ts';
import type { DiscoverySettings } from '../../settings.ts';
import type { Deliver, Listed, Source, SourcePorts } from './source.ts';
import { readAddress } from './upstream-file.ts';

type FleetSettings = Extract<DiscoverySettings, { readonly kind: 'fleet' }>;

export function fleetSource({ engine: address, fleet }: FleetSettings, deliver: Deliver, ports: SourcePorts): Source {
  const { clock, random, log, group } = ports;
  const engine = openEngine(address, { fleet, clock, random, log });
  let view: View = emptyView(clock.now());
  let state: 'reached' | 'unreachable' | 'closed' = 'reached';
  let asking = false;
  let told = '';
  const strangers = new Set<string>();

  const look = async (): Promise<void> => {
    if (asking || state === 'closed') return;
    asking = true;
    try {
      const records = await engine.listMembers();
      if (isClosed()) return;
      if (state === 'unreachable') log.info({ group, fleet }, 'the engine of the fleet answers again');
      state = 'reached';
      view = observe(view, records, { now: clock.now(), wall: clock.wallTime() });
      tell(upstreamsOf(view, stranger));
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      if (isClosed()) return;
      if (state === 'reached') log.error({ group, fleet, err: error }, 'the engine of the fleet cannot be reached; the last list of its nodes holds');
      state = 'unreachable';
    } finally {
      asking = false;
    }
  };
  const isClosed = (): boolean => state === 'closed';
  /** Nobody fresh: the records are late or lost for all, which says nothing of any node. */
  const tell = (listed: readonly Listed[]): void => {
    const text = JSON.stringify(listed);
    if (text === told || !listed.some((one) => one.state !== 'out')) return;
    told = text;
    deliver(listed);
  };
  const stranger = (id: string, where: string): void => {
    if (strangers.has(id) || strangers.size >= MOST_STRANGERS) return;
    strangers.add(id);
    log.warn({ group, fleet, node: id }, `the address of node ${id} must be host:port, or a URL, for it to be an upstream, got ${where}`);
  };

  const timer = clock.every(RECORD_INTERVAL_MS, () => void look());
  void look();
  return {
    close() {
      state = 'closed';
      timer.cancel();
      void engine.close();
    },
  };
}

/** Nodes whose address is of no use are named in the log once, so many of them. */
const MOST_STRANGERS = 100;

/** In the order of their ids, so that nothing seems to change when nothing did. */
export function upstreamsOf(view: View, stranger: (id: string, address: string) => void): readonly Listed[] {
  const listed: Listed[] = [];
  for (const { record, presence } of [...view.nodes.values()].sort(byId)) {
    const address = readAddress(hostAndPort(record.address));
    if (address === null) stranger(record.id, record.address);
    else {
      const state = presence === 'lapsed' ? 'out' : record.state === 'draining' ? 'draining' : 'up';
      listed.push({ name: record.id, address, weight: Math.max(0, record.capacity), state });
    }
  }
  return listed;
}

const byId = (a: Seen, b: Seen): number => (a.record.id < b.record.id ? -1 : 1);

/** What clients are told may be a URL: its host and port are what counts here. */
function hostAndPort(address: string): string {
  const [, scheme, rest] = /^(https?|wss?):\/\/([^/?#]*)/.exec(address) ?? [];
  if (rest === undefined) return address;
  return /:\d+$/.test(rest) ? rest : `${rest}:${scheme.endsWith('s') ? 443 : 80}`;
}
