// What operators see of a gateway and may ask of it: upstreams of its groups, the WebSockets that it relays, its figures.
import { showAddress } from '../core/address.ts';
import { EvenkeelError } from '../core/errors.ts';
import { closest } from '../core/closest.ts';
import { readAddress } from './config/addresses.ts';
import type { CountingDialer, DialCounts } from './dialer.ts';
import type { DnsServer } from './dns/server.ts';
import type { Guard, GuardCounts } from './door/guard.ts';
import type { Entrances, EntranceCounts } from './entrances.ts';
import type { GroupHandle, Tally, UpstreamStatus } from './ports.ts';
import type { RelayedWebSocket, WebSocketRelay } from './websocket/relay.ts';

/** An upstream as the admin API shows it. */
export interface UpstreamRow extends Omit<UpstreamStatus, 'address'> {
  readonly group: string;
  /** `HOST:PORT`. */
  readonly address: string;
}

export interface GroupRow {
  readonly name: string;
  readonly balance: string;
  readonly active: number;
  /** Part of `maxActive` in use; 0 without a limit, 1 when nobody takes anything. */
  readonly pressure: number;
  readonly upstreams: number;
}

/** Plain numbers; totals only grow while the process lives. */
export interface GatewayFacts {
  readonly tally: Readonly<Tally>;
  readonly guard: Readonly<GuardCounts>;
  readonly doors: EntranceCounts;
  readonly dials: Readonly<DialCounts>;
  /** null where no zone is served. */
  readonly dns: DnsServer['tally'] | null;
  /** Relayed now. */
  readonly websockets: number;
  readonly tunnels: number;
  readonly groups: readonly GroupRow[];
  readonly upstreams: readonly UpstreamRow[];
}

export interface AddedUpstream {
  readonly address: string;
  readonly name?: string | undefined;
  readonly weight?: number | undefined;
}

export type UpstreamVerb = 'remove' | 'drain' | 'disable' | 'enable';

/** The gateway, as far as this looks at it. */
export interface Operated {
  readonly groups: ReadonlyMap<string, GroupHandle>;
  readonly tally: Tally;
  readonly guard: Guard;
  readonly entrances: Entrances;
  readonly dialer: CountingDialer;
  readonly dns: DnsServer | null;
  readonly relay: WebSocketRelay;
}

/** Every call may throw EvenkeelError: EVENKEEL_UNKNOWN_GROUP, EVENKEEL_UNKNOWN_UPSTREAM, EVENKEEL_UNKNOWN_CONNECTION, EVENKEEL_BAD_OPTION. */
export class Operations {
  readonly #gateway: Operated;
  /** Reads the configuration again; null: there is none to read. */
  readonly #reload: (() => Promise<void>) | null;

  constructor(gateway: Operated, reload: (() => Promise<void>) | null) {
    this.#gateway = gateway;
    this.#reload = reload;
  }

  facts(): GatewayFacts {
    const { tally, guard, entrances, dialer, dns, relay } = this.#gateway;
    return {
      tally,
      guard: guard.counts,
      doors: entrances.counts,
      dials: dialer.counts,
      dns: dns?.tally ?? null,
      websockets: relay.count,
      tunnels: entrances.tunnels,
      groups: this.groups(),
      upstreams: this.upstreams(null),
    };
  }

  groups(): GroupRow[] {
    return [...this.#gateway.groups].map(([name, group]) => {
      const { pressure, settings, upstreams } = group;
      return { name, balance: settings.balance, active: upstreams.reduce((sum, { active }) => sum + active, 0), pressure, upstreams: upstreams.length };
    });
  }

  /** Of one group, or of all. */
  upstreams(group: string | null): UpstreamRow[] {
    const groups = group === null ? [...this.#gateway.groups] : [[group, this.#group(group)] as const];
    return groups.flatMap(([name, one]) => one.list().map((status) => rowOf(name, status)));
  }

  add(group: string, { address: written, name = written, weight = 1 }: AddedUpstream): UpstreamRow {
    const address = readAddress(written);
    if (address === null) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `address must be HOST:PORT, got ${written}`);
    this.#group(group).add({ address, name, weight });
    return this.#row(group, name);
  }

  /** The upstream as it is now; null: it is gone. */
  tell(verb: UpstreamVerb, group: string, upstream: string): UpstreamRow | null {
    this.#group(group)[verb](upstream);
    return verb === 'remove' ? null : this.#row(group, upstream);
  }

  /** null: as it is configured. */
  weigh(group: string, upstream: string, weight: number | null): UpstreamRow {
    this.#group(group).weigh(upstream, weight);
    return this.#row(group, upstream);
  }

  websockets(): RelayedWebSocket[] {
    return this.#gateway.relay.list();
  }

  abort(id: number, code: number | undefined): void {
    if (!this.#gateway.relay.abort(id, code)) throw unknownWebSocket(id);
  }

  /** It goes at its next quiet moment. `to` null: whoever the group chooses. */
  move(id: number, to: string | null): void {
    const answer = this.#gateway.relay.move(id, to);
    if (answer === 'unknown') throw unknownWebSocket(id);
    if (answer === 'no-upstream' && to !== null)
      throw new EvenkeelError('EVENKEEL_UNKNOWN_UPSTREAM', `the group of WebSocket ${id} must have the upstream, got ${to}`);
    if (answer !== 'moving') throw new EvenkeelError('EVENKEEL_CANNOT_MOVE', `WebSocket ${id} must ${MOVABLE[answer]} to be moved`);
  }

  async reload(): Promise<void> {
    if (this.#reload === null) throw new EvenkeelError('EVENKEEL_NOT_SUPPORTED', 'the gateway must have a configuration that can be read again, got none');
    await this.#reload();
  }

  #group(name: string): GroupHandle {
    const { groups } = this.#gateway;
    const group = groups.get(name);
    if (group !== undefined) return group;
    const meant = closest(name, [...groups.keys()]);
    const hint = meant === null ? '' : `; did you mean ${meant}?`;
    throw new EvenkeelError(
      'EVENKEEL_UNKNOWN_GROUP',
      `the group must be one of ${[...groups.keys()].slice(0, 20).join(', ')}, got ${name.slice(0, 100)}${hint}`,
    );
  }

  #row(group: string, name: string): UpstreamRow {
    const status = this.#group(group)
      .list()
      .find((one) => one.name === name);
    if (status === undefined) throw new EvenkeelError('EVENKEEL_UNKNOWN_UPSTREAM', `group ${group} must have the upstream, got ${name}`);
    return rowOf(group, status);
  }
}

const MOVABLE = {
  'not-open': 'be open and have an upstream',
  'no-failover': 'be of a group with websocket.failover',
  'no-upstream': 'have another upstream that takes it',
} as const;

const rowOf = (group: string, { address, ...status }: UpstreamStatus): UpstreamRow => ({ group, ...status, address: showAddress(address) });

const unknownWebSocket = (id: number): EvenkeelError =>
  new EvenkeelError('EVENKEEL_UNKNOWN_CONNECTION', `WebSocket ${id} must be relayed by this gateway, it is not (any more)`);
