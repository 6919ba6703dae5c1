// Relays WebSockets to upstreams and outlives them: the way in from HTTP, the ways from one stage to the next, and what operators
// may ask for. The client's side is a connection of this node like any other.
import { lifespan } from '../../core/lifetime.ts';
import type { Listening } from '../../core/event.ts';
import { Ages } from '../../connections/ages.ts';
import { unsentOf } from '../../connections/transports/websocket-transport.ts';
import { Turns } from '../../connections/turns.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { isRefused, type Group, type Outcome, type ProxyPorts, type Upgrade, type Upgrader, type Upstream } from '../ports.ts';
import { DetachedStage, obstacle } from './failover.ts';
import { closeFrame, freshMask } from './frames.ts';
import { headOf, keptOf } from './handshake.ts';
import { Life } from './life.ts';
import { OpeningStage } from './opening.ts';
import { Pacer, type Turn } from './pacer.ts';
import type { Mover, Shift } from './respread.ts';
import { closedStage, ClosingStage, openStage, PartingStage } from './stages.ts';
import { RelayTransport } from './transport.ts';
import { Ways } from './ways.ts';
import { dismiss, holdClient, Tunnel, type Cause, type Keeper, type Parting, type Retry, type StageKind } from './tunnel.ts';

/** Byte counters are looked at this often: for idle tunnels, and for the order in which connections may be moved. */
const LOOK_MS = 1_000;
/** A peer that vanished without a word is found by the kernel, which begins to ask after this, ms. */
const KEEP_ALIVE_MS = 60_000;
/** Tries per second at other upstreams, when many lost theirs at once. */
const REATTACH: PaceOptions = { perS: 2_000, burst: 500 };
/** Moves per second away from upstreams that still work: nobody is in a hurry. */
const PLANNED: PaceOptions = { perS: 100, burst: 10 };

interface PaceOptions {
  readonly perS: number;
  readonly burst: number;
}

/** One relayed WebSocket, for operators. */
export interface RelayedWebSocket {
  /** Of its connection, as everywhere. */
  readonly id: number;
  readonly client: string;
  readonly group: string;
  /** null: none at the moment. */
  readonly upstream: string | null;
  readonly stage: StageKind;
  readonly ageMs: number;
  readonly bytesFromClient: number;
  readonly bytesFromUpstream: number;
  /** How often another upstream took over. */
  readonly reattached: number;
}

/** What became of the wish to move one. `moving`: at its next quiet moment. */
export type MoveAnswer = 'moving' | 'unknown' | 'not-open' | 'no-failover' | 'no-upstream';

interface PlannedMove {
  readonly tunnel: Tunnel;
  /** The upstream that is to be left. */
  readonly from: Upstream;
  readonly wanted: Upstream | null;
  /** An operator asked for it; else it is left alone when its upstream stays after all. */
  readonly asked: boolean;
  /** Later it stays where it is. */
  readonly until: number;
}

export class WebSocketRelay implements Upgrader, Keeper, Mover {
  readonly ports: ProxyPorts;
  readonly #transport: RelayTransport;
  readonly #ages: Ages;
  readonly #turns: Turns<Tunnel>;
  readonly #retries: Pacer<Retry>;
  readonly #moves: Pacer<PlannedMove>;
  /** Those of which something is relayed; a reload may have taken them out. */
  readonly #groups = new Map<Group, { readonly listening: Listening; count: number }>();
  readonly #ways = new Ways();
  #count = 0;

  constructor(ports: ProxyPorts) {
    const { clock, transport } = ports;
    this.ports = ports;
    this.#transport = new RelayTransport(this, (tunnel) => this.#ages.remove(tunnel.connection));
    this.#ages = new Ages(transport);
    this.#turns = new Turns(clock, LOOK_MS, (tunnel) => this.#look(tunnel));
    this.#retries = new Pacer(clock, REATTACH, (retry) => (retry.try() ? 'done' : 'nothing'));
    this.#moves = new Pacer(clock, PLANNED, (move) => this.#leave(move));
  }

  /** Relayed now, also those that wait for an upstream. */
  get count(): number {
    return this.#count;
  }

  upgrade(upgrade: Upgrade): void {
    const { socket, client, connection, request, route } = upgrade;
    const { group } = route;
    if (group === null) return this.#turnAway(upgrade);
    this.#heed(group);
    const outlives = group.settings.websocket.failover;
    const ask = this.ports.router.ask(group, request, client, upgrade.user);
    const head = headOf(upgrade, outlives);
    const stage = new OpeningStage({ ask, client, head: `${head}\r\n\r\n` }, upgrade.rest);
    const life = outlives ? new Life({ ask, way: this.#ways.of(client), head: keptOf(head) }, group.settings.websocket) : null;
    const tunnel = new Tunnel(this, { connection, client: socket, address: client.address, port: client.port, group, life, stage });
    tunnel.seat = this.#turns.add(tunnel);
    this.#count++;
    this.ports.transport.registry.adopt(connection, this.#transport, socket);
    if (socket.timeout) socket.setTimeout(0);
    holdClient(tunnel);
    stage.begin(tunnel);
    // What HTTP had read already but not looked at.
    for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) tunnel.stage.fromClient(tunnel, chunk);
    // It may have left while the request was decided about: it does not say so again.
    if (socket.destroyed || socket.readableEnded) tunnel.stage.clientEnded(tunnel);
    else tunnel.resumeClient();
  }

  open(tunnel: Tunnel): void {
    const { connection, client, upstream } = tunnel;
    const { lifetime, random } = this.ports.transport;
    client.setNoDelay(true);
    client.setKeepAlive(true, KEEP_ALIVE_MS);
    upstream?.setKeepAlive(true, KEEP_ALIVE_MS);
    this.ports.tally.websockets++;
    tunnel.move(openStage);
    if (connection.stage === 'leaving') return this.close(tunnel, CloseCode.restart, connection.goodbye?.reason ?? 'restart');
    this.#ages.add(connection, connection.openedAt + lifespan(lifetime, random).ageMs);
    this.#recheck(tunnel);
  }

  detach(tunnel: Tunnel, cause: Cause): void {
    const { life, upstream, target } = tunnel;
    const why = obstacle(tunnel);
    const { log } = this.ports;
    const planned = cause.kind === 'planned';
    const code = cause.kind === 'lost' ? cause.code : null;
    log.info({ connection: tunnel.connection.id, upstream: target?.name, code, planned, obstacle: why }, 'a WebSocket leaves its upstream');
    if (life === null || why === 'none' || why === 'cut') {
      this.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'failed' });
      return tunnel.stage.upstreamEnded(tunnel);
    }
    const stage = why === null ? new DetachedStage(tunnel, life, cause) : null;
    tunnel.release(planned ? 'ok' : 'failed');
    if (!planned) {
      // Who closed hears our answer.
      if (code !== null && code !== 1006 && tunnel.fromClient.atFrame) tunnel.toUpstream(closeFrame(code, '', freshMask(this.ports.random)));
      tunnel.upstream = null;
      if (upstream !== null) dismiss(upstream, this.ports.clock);
      tunnel.fromUpstream.held = null;
    }
    if (stage === null) {
      this.ports.tally.reattachFailed++;
      return this.close(tunnel, CloseCode.restart, 'the server went away in the middle of a message');
    }
    tunnel.move(stage);
    stage.begin();
  }

  close(tunnel: Tunnel, code: number, reason: string, withinMs?: number): void {
    const { stage, upstream } = tunnel;
    if (stage.kind === 'closing' || stage.kind === 'closed') return;
    const within = withinMs === undefined ? {} : { withinMs };
    // It is still HTTP, or in the middle of a frame.
    if (stage.kind === 'opening' || stage.kind === 'answering')
      return this.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'aborted', ...within });
    if (!tunnel.fromUpstream.atFrame) {
      if (withinMs === undefined) return stage.kind === 'parting' ? undefined : tunnel.move(new PartingStage(tunnel, code, reason));
      return this.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'ok', withinMs });
    }
    tunnel.toClient(closeFrame(code, reason, null));
    // What a client says before its hello is not for this upstream.
    if (stage.kind === 'resyncing') {
      tunnel.toUpstream(closeFrame(1001, '', freshMask(this.ports.random)));
      tunnel.upstream = null;
      if (upstream !== null) dismiss(upstream, this.ports.clock);
      tunnel.release('ok');
    }
    this.finish(tunnel, { toClient: false, toUpstream: true, ours: true, outcome: 'ok', ...within });
  }

  finish(tunnel: Tunnel, parting: Parting): void {
    const { goodbyeMs, lingerMs } = this.ports.transport.limits;
    const isPolite = parting.toClient || parting.toUpstream;
    this.#ages.remove(tunnel.connection);
    tunnel.move(new ClosingStage(tunnel, parting, parting.withinMs ?? (isPolite ? goodbyeMs : lingerMs)));
    if (!isPolite) {
      tunnel.client.end();
      tunnel.upstream?.end();
    }
    // Both are read to their end.
    tunnel.resumeClient();
    tunnel.resumeUpstream();
    if (tunnel.client.destroyed) tunnel.stage.clientEnded(tunnel);
  }

  forget(tunnel: Tunnel, outcome: Outcome): void {
    if (tunnel.stage === closedStage) return;
    tunnel.move(closedStage);
    tunnel.release(outcome);
    this.#count--;
    this.#unheed(tunnel.group);
    this.#turns.remove(tunnel.seat);
    this.#ages.remove(tunnel.connection);
    this.ports.transport.registry.close(tunnel.connection);
  }

  reattached(tunnel: Tunnel): void {
    const { tally, log } = this.ports;
    tally.reattached++;
    tunnel.upstream?.setKeepAlive(true, KEEP_ALIVE_MS);
    log.info({ connection: tunnel.connection.id, upstream: tunnel.target?.name, number: tunnel.life?.reattached }, 'another upstream took a WebSocket over');
    this.#recheck(tunnel);
  }

  queue(retry: Retry): void {
    this.#retries.add(retry);
  }

  list(): RelayedWebSocket[] {
    const now = this.ports.clock.now();
    return [...this.#turns.members()].map((tunnel) => ({
      id: tunnel.connection.id,
      client: `${tunnel.address}:${tunnel.port}`,
      group: tunnel.group.settings.name,
      upstream: tunnel.target?.name ?? null,
      stage: tunnel.stage.kind,
      ageMs: Math.round(now - tunnel.connection.openedAt),
      bytesFromClient: tunnel.up,
      bytesFromUpstream: tunnel.down,
      reattached: tunnel.life?.reattached ?? 0,
    }));
  }

  /** Closes the client with this code; its upstream hears 1001. False: there is none of that id. */
  abort(id: number, code: number = CloseCode.restart): boolean {
    const tunnel = this.#find(id);
    if (tunnel === undefined) return false;
    this.ports.transport.registry.leave(tunnel.connection, { reason: 'operator', plan: null, target: null });
    this.close(tunnel, code, 'operator');
    return true;
  }

  /** Gives it another upstream, at its next quiet moment. `to` null: whichever the group chooses. */
  move(id: number, to: string | null = null): MoveAnswer {
    const tunnel = this.#find(id);
    if (tunnel === undefined) return 'unknown';
    const { life, target, stage, group } = tunnel;
    if (life === null) return 'no-failover';
    if (stage.kind !== 'open' || target === null) return 'not-open';
    const wanted = to === null ? null : (group.upstreams.find(({ name }) => name === to) ?? null);
    if (to !== null && wanted === null) return 'no-upstream';
    if (to === null && isRefused(group.choose({ ...life.ask, without: new Set([target]) }))) return 'no-upstream';
    this.#moves.add({ tunnel, from: target, wanted, asked: true, until: Infinity });
    return 'moving';
  }

  movable(group: Group): Map<string, number> {
    const found = new Map<string, number>();
    for (const tunnel of this.#turns.members()) {
      if (tunnel.group !== group || tunnel.life === null || tunnel.stage.kind !== 'open' || tunnel.target === null) continue;
      found.set(tunnel.target.name, (found.get(tunnel.target.name) ?? 0) + 1);
    }
    return found;
  }

  shift(group: Group, { from, to, count }: Shift, withinMs: number): void {
    const wanted = group.upstreams.find(({ name }) => name === to);
    if (wanted === undefined) return;
    const until = this.ports.clock.now() + withinMs;
    let left = count;
    for (const tunnel of this.#turns.members()) {
      if (left === 0) return;
      const { target, life, stage } = tunnel;
      if (tunnel.group !== group || life === null || stage.kind !== 'open' || target?.name !== from) continue;
      this.#moves.add({ tunnel, from: target, wanted, asked: true, until });
      left--;
    }
  }

  /** Ends what is relayed still, and every timer. */
  stop(): void {
    for (const tunnel of this.#turns.members()) {
      tunnel.upstream?.destroy();
      tunnel.client.destroy();
      this.forget(tunnel, 'aborted');
    }
    this.#turns.stop();
    this.#ages.stop();
    this.#retries.stop();
    this.#moves.stop();
  }

  /** Its route leads to nobody. The socket is ours all the same. */
  #turnAway({ socket, connection }: Upgrade): void {
    socket.on('error', () => {});
    socket.once('close', () => this.ports.transport.registry.close(connection));
    socket.write('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    dismiss(socket, this.ports.clock);
  }

  #find(id: number): Tunnel | undefined {
    for (const tunnel of this.#turns.members()) if (tunnel.connection.id === id) return tunnel;
    return undefined;
  }

  /** Hears when one of its upstreams is not to be used any more, for as long as anything of it is relayed. */
  #heed(group: Group): void {
    const heeded = this.#groups.get(group);
    if (heeded !== undefined) return void heeded.count++;
    const listening = group.onGone(({ upstream, why }) => {
      for (const tunnel of this.#turns.members()) if (tunnel.target === upstream) this.#gone(tunnel, upstream, why);
    });
    this.#groups.set(group, { listening, count: 1 });
  }

  #unheed(group: Group): void {
    const heeded = this.#groups.get(group);
    if (heeded === undefined || --heeded.count > 0) return;
    heeded.listening.stop();
    this.#groups.delete(group);
  }

  /** Its upstream may have begun to drain while it took the handshake. */
  #recheck(tunnel: Tunnel): void {
    const { target } = tunnel;
    if (target?.draining === true) this.#gone(tunnel, target, 'draining');
  }

  #gone(tunnel: Tunnel, upstream: Upstream, why: 'down' | 'draining' | 'removed'): void {
    const { kind } = tunnel.stage;
    if (kind !== 'open' && kind !== 'resyncing') return;
    if (why !== 'down') return this.#moves.add({ tunnel, from: upstream, wanted: null, asked: false, until: Infinity });
    if (tunnel.life === null) this.close(tunnel, CloseCode.restart, 'the server is down');
    else this.detach(tunnel, { kind: 'lost', code: 1006 });
  }

  /** The turn of one that is to leave its upstream. */
  #leave({ tunnel, from, wanted, asked, until }: PlannedMove): Turn {
    const { stage, target, life, group, fromClient, fromUpstream, upstream } = tunnel;
    if (target !== from || (stage.kind !== 'open' && stage.kind !== 'resyncing')) return 'nothing';
    if (this.ports.clock.now() > until) return 'nothing';
    if (!asked && !from.draining && group.upstreams.includes(from)) return 'nothing';
    if (stage.kind === 'resyncing' || !fromUpstream.isQuiet) return 'again';
    const ask = life?.ask ?? { key: null, sticky: null };
    const choice = wanted ?? group.choose({ ...ask, without: new Set([from]) });
    // A group that a reload took out takes nobody ever again.
    const isOver = this.ports.router.group(group.settings.name) !== group;
    // Better where it is than nowhere.
    if (isRefused(choice) && !isOver) return 'later';
    if (life === null || isRefused(choice)) {
      this.ports.transport.registry.leave(tunnel.connection, { reason: 'operator', plan: null, target: null });
      this.close(tunnel, CloseCode.restart, 'the server goes away');
      return 'done';
    }
    // Ours says again what was not acknowledged; of a plain one nothing may be under way.
    if (life.kind === 'plain' && (!fromClient.isQuiet || (upstream?.writableLength ?? 0) > 0)) return 'again';
    this.detach(tunnel, { kind: 'planned', wanted: choice });
    return 'done';
  }

  #look(tunnel: Tunnel): void {
    const { connection, up, down, client } = tunnel;
    const { tunnelMs, clientSendMs } = this.ports.timeouts;
    const moved = up + down;
    const unsent = unsentOf(client);
    // More than before is the next write: the one before it was taken.
    if (moved !== tunnel.seen || unsent !== tunnel.unsent) {
      this.ports.transport.registry.read(connection);
      tunnel.silent = 0;
    } else {
      tunnel.silent++;
      tunnel.rest();
    }
    tunnel.seen = moved;
    tunnel.unsent = unsent;
    const { kind } = tunnel.stage;
    if (kind !== 'open' && kind !== 'resyncing') return;
    // The first look that finds nothing new may come right after the last byte.
    const silentMs = (tunnel.silent - 1) * LOOK_MS;
    if (unsent > 0 && silentMs >= clientSendMs) {
      this.ports.transport.registry.leave(connection, { reason: 'dead', plan: null, target: null });
      this.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'aborted' });
    } else if (tunnelMs > 0 && silentMs >= tunnelMs) {
      this.ports.transport.registry.leave(connection, { reason: 'idle', plan: null, target: null });
      this.close(tunnel, CloseCode.restart, 'idle');
    }
  }
}
