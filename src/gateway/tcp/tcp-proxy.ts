// The layer-4 proxy of a listener: gives each client's connection an upstream, copies bytes both ways, and counts it as a
// connection of this node. A plain TCP client cannot be told to go, so what has to end ends at a quiet moment and in order:
// the upstream gets an end of file first, so that nothing that the client sends from then on is half done.
import type { Socket } from 'node:net';
import type { Goodbye } from '../../core/goodbye.ts';
import { lifespan } from '../../core/lifetime.ts';
import { Ages } from '../../connections/ages.ts';
import type { Connection, Transport, TransportFacts } from '../../connections/connection.ts';
import { Turns } from '../../connections/turns.ts';
import type { Listening } from '../../core/event.ts';
import { countRefused, isRefused, type Acceptor, type ClientFacts, type Group, type ProxyPorts, type RequestFacts, type Upstream } from '../ports.ts';
import { reset } from '../reset.ts';
import { bind, join, passClose, Tunnel, tunnelOf } from './tunnel.ts';

export type TcpProxyPorts = Pick<ProxyPorts, 'clock' | 'log' | 'transport' | 'router' | 'dialer' | 'timeouts' | 'tally'>;

export interface TcpProxy extends Acceptor {
  /** Client connections that are open. */
  readonly size: number;
  /** Takes nothing new any more. It is closed, and `over` called, when its last connection is gone. */
  runDry(over: () => void): void;
  /** Ends all of them at once. */
  close(): void;
}

/** `group`: whose upstreams carry the connections; looked up for each, so that a reload may replace it. */
export function openTcpProxy(group: string, ports: TcpProxyPorts): TcpProxy {
  return new Layer4(group, ports);
}

/** What moved is noted by the listeners and looked at this often. */
const LOOK_MS = 1_000;

/** Between two messages of a busy connection there is less silence than this; whoever is silent for longer may be ended. */
const QUIET_MS = 1_000;

/** Bytes without a request: a hash goes by the client's address, and nothing else is known. */
const noRequest: RequestFacts = { method: '', target: '', host: '', header: () => undefined };

const lastMoveAt = ({ lastReadAt, lastWriteAt }: Connection): number => Math.max(lastReadAt, lastWriteAt);

const idle: Goodbye = { reason: 'idle', plan: null, target: null };

/** What a client's connection carries until it has its upstream. */
interface Search {
  readonly tunnel: Tunnel;
  readonly group: Group;
  readonly client: ClientFacts;
  readonly head: Buffer | null;
  tried: Set<Upstream> | null;
}

class Layer4 implements TcpProxy, Transport {
  readonly protocol = 'tcp';
  readonly manner = 'told';
  readonly #name: string;
  readonly #ports: TcpProxyPorts;
  readonly #ages: Ages;
  readonly #turns: Turns<Tunnel>;
  #group: Group | null = null;
  #listening: Listening | null = null;
  #size = 0;
  #over: (() => void) | null = null;
  // One listener for all sockets: it is called with the socket as `this`.
  readonly #onClose: (this: Socket) => void;

  constructor(name: string, ports: TcpProxyPorts) {
    this.#name = name;
    this.#ports = ports;
    this.#ages = new Ages(ports.transport);
    this.#turns = new Turns(ports.clock, LOOK_MS, (tunnel) => this.#look(tunnel));
    const closed = (tunnel: Tunnel, socket: Socket): void => this.#closed(tunnel, socket);
    this.#onClose = function () {
      const tunnel = tunnelOf(this);
      if (tunnel !== undefined) closed(tunnel, this);
    };
  }

  get size(): number {
    return this.#size;
  }

  accept(socket: Socket, client: ClientFacts, head: Buffer | null): void {
    const connection = this.#ports.transport.registry.accept(this, socket);
    const tunnel = new Tunnel(connection, socket, client);
    connection.handle = tunnel;
    tunnel.seat = this.#turns.add(tunnel);
    this.#size++;
    socket.pause();
    bind(tunnel, socket, this.#onClose);
    const group = this.#lookUp();
    if (group === null) return this.#refuse(tunnel, `group ${this.#name} is not there`);
    this.#choose({ tunnel, group, client, head, tried: null });
  }

  runDry(over: () => void): void {
    this.#over = over;
    this.#lookDry();
  }

  close(): void {
    this.#listening?.stop();
    for (const tunnel of this.#turns.members()) {
      tunnel.upstream?.destroy();
      tunnel.client.destroy();
    }
    this.#turns.stop();
    this.#ages.stop();
  }

  /** At a quiet moment. The upstream is told first; its own end of file goes on to the client. */
  retire(connection: Connection, goodbye: Goodbye): void {
    const tunnel = connection.handle as Tunnel;
    const { registry, limits } = this.#ports.transport;
    registry.leave(connection, goodbye);
    this.#ages.remove(connection);
    if (tunnel.stage !== 'open') return this.#end(tunnel);
    tunnel.stage = 'leaving';
    // What it still sends is read and dropped, also where it was held back.
    tunnel.client.resume();
    tunnel.upstream?.end();
    tunnel.deadline = this.#ports.clock.after(limits.goodbyeMs, () => this.#end(tunnel));
  }

  cut(connection: Connection): void {
    this.#end(connection.handle as Tunnel);
  }

  quiet(connection: Connection): boolean {
    const tunnel = connection.handle as Tunnel;
    if (tunnel.stage !== 'open' || !tunnel.isFlat) return false;
    const { phase } = this.#ports.transport.retirement;
    // Near the end of a drain any moment between two chunks is better than the cut that follows.
    if (phase === 'settle' || phase === 'over') return true;
    return !tunnel.moved && this.#ports.clock.now() - lastMoveAt(connection) >= QUIET_MS;
  }

  facts(connection: Connection): TransportFacts {
    const { address, port, client } = connection.handle as Tunnel;
    // Without values once the socket is destroyed, whatever its type says.
    return { remoteAddress: address, remotePort: port, bytesRead: client.bytesRead ?? 0, bytesWritten: client.bytesWritten ?? 0 };
  }

  #lookUp(): Group | null {
    const group = this.#ports.router.group(this.#name);
    if (group === this.#group) return group;
    this.#listening?.stop();
    this.#group = group;
    // Connections of upstreams that are drained or removed go on until they end: nothing can take them over.
    this.#listening = group?.onGone(({ upstream, why }) => why === 'down' && this.#lost(upstream)) ?? null;
    return group;
  }

  #choose(search: Search): void {
    const { tunnel, group, client } = search;
    const { router } = this.#ports;
    const choice = group.choose({ ...router.ask(group, noRequest, client, null), without: search.tried });
    if (isRefused(choice)) return this.#refuse(tunnel, `no upstream of group ${this.#name} can take it (${choice.refused})`);
    choice.begin();
    tunnel.chosen = choice;
    this.#dial(search, choice);
  }

  #dial(search: Search, upstream: Upstream): void {
    const { clock, dialer } = this.#ports;
    const { tunnel } = search;
    const startedAt = clock.now();
    const socket = dialer.dial(upstream, search.client, {
      ready: () => this.#open(search, Math.round(clock.now() - startedAt)),
      failed: (error) => this.#failed(search, upstream, error),
    });
    // An answer at once is none of this socket any more.
    if (tunnel.chosen === upstream) tunnel.upstream = socket;
  }

  #failed(search: Search, upstream: Upstream, error: Error): void {
    const { tunnel, group } = search;
    const { tally, log } = this.#ports;
    upstream.end('failed', null);
    tunnel.upstream = null;
    tunnel.chosen = null;
    log.debug({ connection: tunnel.connection.id, err: error }, 'an upstream could not be reached');
    // The client broke off meanwhile.
    if (tunnel.client.destroyed) return;
    const tried = (search.tried ??= new Set()).add(upstream);
    if (tried.size > group.settings.retries) return this.#refuse(tunnel, error.message);
    tally.retries++;
    this.#choose(search);
  }

  #open({ tunnel, head }: Search, connectMs: number): void {
    const { client, upstream } = tunnel;
    if (upstream === null) return;
    bind(tunnel, upstream, this.#onClose);
    // It was told to go, or went, while the connection was made.
    if (tunnel.stage !== 'dialing') return void upstream.destroy();
    tunnel.stage = 'open';
    tunnel.chosen?.answered(connectMs);
    this.#ports.tally.tunnels++;
    if (head !== null) {
      tunnel.read = true;
      upstream.write(head);
    }
    join(upstream);
    join(client);
  }

  #look(tunnel: Tunnel): void {
    const { connection } = tunnel;
    const { registry } = this.#ports.transport;
    if (tunnel.moved) {
      if (connection.stage === 'fresh') this.#admit(connection);
      if (tunnel.read) registry.read(connection);
      if (tunnel.wrote) registry.wrote(connection);
      tunnel.read = false;
      tunnel.wrote = false;
      return;
    }
    const { tunnelMs } = this.#ports.timeouts;
    if (tunnelMs === 0 || tunnel.stage !== 'open' || this.#ports.clock.now() - lastMoveAt(connection) < tunnelMs) return;
    this.retire(connection, idle);
  }

  #admit(connection: Connection): void {
    const { registry, lifetime, random } = this.#ports.transport;
    registry.admit(connection);
    this.#ages.add(connection, connection.openedAt + lifespan(lifetime, random).ageMs);
  }

  #refuse(tunnel: Tunnel, why: string): void {
    const { tally, log } = this.#ports;
    // A client of bytes gets no status; it is counted under the one that it would have got.
    countRefused(tally, 503);
    log.debug({ connection: tunnel.connection.id, why }, 'a TCP connection was refused');
    this.#end(tunnel);
  }

  /** An upstream died: its clients see what they would have seen without us. */
  #lost(upstream: Upstream): void {
    for (const tunnel of this.#turns.members()) {
      if (tunnel.chosen !== upstream) continue;
      // Why it ended is known to the group, which told us.
      tunnel.outcome = 'aborted';
      // One that is still being dialled goes on to the next upstream when that fails.
      if (tunnel.stage === 'dialing') continue;
      tunnel.upstream?.destroy();
      reset(tunnel.client);
    }
  }

  /** Our end of file to the client, after what is still to be sent. Then it is read to its end: closing over unread bytes would reset it. */
  #end(tunnel: Tunnel): void {
    const { client, upstream } = tunnel;
    if (tunnel.stage === 'dialing') this.#giveUp(tunnel);
    tunnel.stage = 'ended';
    tunnel.deadline?.cancel();
    tunnel.deadline = this.#ports.clock.after(this.#ports.transport.limits.lingerMs, () => client.destroy());
    upstream?.destroy();
    client.end();
    client.resume();
  }

  #closed(tunnel: Tunnel, socket: Socket): void {
    const { client, upstream } = tunnel;
    if (socket === client) {
      // What spoke and went between two looks counts, too.
      if (tunnel.moved && tunnel.connection.stage === 'fresh') this.#ports.transport.registry.admit(tunnel.connection);
      tunnel.deadline?.cancel();
      this.#turns.remove(tunnel.seat);
      this.#ages.remove(tunnel.connection);
      this.#ports.transport.registry.close(tunnel.connection);
      this.#size--;
      this.#lookDry();
      if (tunnel.stage === 'dialing') return this.#giveUp(tunnel);
      // What an upstream that has ended its side does not read by then is lost.
      if (upstream?.destroyed === false) tunnel.deadline = this.#ports.clock.after(this.#ports.transport.limits.goodbyeMs, () => upstream.destroy());
    } else {
      tunnel.chosen?.end(tunnel.outcome, null);
      tunnel.chosen = null;
      if (client.destroyed) tunnel.deadline?.cancel();
    }
    passClose(tunnel, socket);
  }

  #lookDry(): void {
    if (this.#over === null || this.#size > 0) return;
    this.close();
    this.#over();
  }

  /** The client broke off, or is cut, while its upstream is dialled. */
  #giveUp(tunnel: Tunnel): void {
    tunnel.stage = 'ended';
    tunnel.upstream?.destroy();
    tunnel.upstream = null;
    tunnel.chosen?.end('aborted', null);
    tunnel.chosen = null;
  }
}
