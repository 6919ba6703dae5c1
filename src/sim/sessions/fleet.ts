// The nodes of simulated sessions: each life of a process with its production sessions, and the network between clients and nodes.
import type { VirtualClock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { Random } from '../../core/random.ts';
import type { LinkEvents } from '../../client/link.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import type { Codec } from '../../protocol/frames.ts';
import { SessionTally } from '../../node/session-tally.ts';
import { readSessionsOptions } from '../../server/sessions/options.ts';
import type { Session } from '../../server/sessions/session.ts';
import { Sessions } from '../../server/sessions/sessions.ts';
import { Connection } from './connection.ts';
import type { SharedEngine } from './engine.ts';
import { Process, TURN_MS } from './process.ts';
import type { World } from './world.ts';

/** A connection as its node sees it. */
interface Seat {
  readonly connection: Connection;
  readonly client: number;
  readonly life: Life;
  session: Session | null;
}

/** One process of a node, from its start to its end. */
export interface Life {
  readonly process: Process;
  readonly sessions: Sessions;
  /** Nobody is let in any more. */
  isDraining: boolean;
}

export interface FleetPorts {
  readonly world: World;
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly engine: SharedEngine;
  readonly codec: Codec;
  /** Something that must never be logged. */
  readonly alarm: (what: string) => void;
}

/** How long a client that is told to move has, ms. */
const MOVE_MS = 10_000;
const HEARTBEAT = { pingMs: 5_000, deadMs: 12_000 };

/** Addresses of the nodes; that of all is answered by any that is up. */
export const addressOf = (node: number): string => `ws://n${node}`;
export const ANYBODY = 'ws://fleet';

export class Fleet {
  readonly #ports: FleetPorts;
  readonly #lives: (Life | null)[];
  /** Nodes whose machine is gone: nothing answers there. */
  readonly #dark = new Set<number>();
  readonly #full = new Set<number>();
  #seats: Seat[] = [];
  #names = 0;

  constructor(ports: FleetPorts) {
    this.#ports = ports;
    this.#lives = Array.from({ length: ports.world.nodes }, () => null);
    for (let node = 0; node < ports.world.nodes; node++) this.start(node);
  }

  life(node: number): Life | null {
    return this.#lives[node] ?? null;
  }

  /** A node that takes clients, if there is one. */
  anyUp(): Life | null {
    const up = this.#lives.filter((life) => life !== null && !life.isDraining);
    return up[Math.floor(this.#ports.random.next() * up.length)] ?? null;
  }

  start(node: number): void {
    if (this.#lives[node] !== null) return;
    const { world, clock, engine } = this.#ports;
    this.#dark.delete(node);
    const process = new Process(clock, world.skewMs[node]);
    const settings = readSessionsOptions({
      resumeMs: world.resumeMs,
      historyCount: world.historyCount,
      historyMs: 600_000,
      unsentBytes: world.unsentBytes,
      ...this.#hooks(process),
    });
    const sessions = new Sessions(settings, {
      engine: engine.engineFor(node, process),
      clock: process,
      log: this.#log(node),
      // After the promises of this turn, as setImmediate is.
      defer: (task) => void process.after(TURN_MS, task),
      freshName: () => `name-${String(++this.#names).padStart(16, '0')}`,
      node: `n${node}`,
      tally: new SessionTally(),
      heartbeat: HEARTBEAT,
      moveMs: MOVE_MS,
      urlOf: (address) => address,
    });
    sessions.requests.handle('echo', (value) => value);
    sessions.start();
    this.#lives[node] = { process, sessions, isDraining: false };
  }

  crash(node: number, isSilent: boolean): void {
    const life = this.#lives[node];
    if (life === null) return;
    if (isSilent) this.#dark.add(node);
    this.#end(node, life, isSilent ? null : this.#ports.random.next() * 100);
  }

  /** Sends everybody away, and ends after a while. */
  drain(node: number, target: number | null): void {
    const life = this.#lives[node];
    if (life === null || life.isDraining) return;
    life.isDraining = true;
    for (const seat of this.#seats.filter((seat) => seat.life === life)) life.process.run(() => this.#tellToMove(seat, target, target));
    life.process.after(MOVE_MS + 1_000, () => {
      void life.sessions.stop();
      // What it still says goes out.
      life.process.after(1_000, () => this.#end(node, life, 0));
    });
  }

  /** Tells a client to go from where it is to `address` with a ticket for `id`. */
  move(client: number, id: number, address: number): void {
    const seat = this.#seats.findLast((seat) => seat.client === client && seat.session?.stage === 'open');
    seat?.life.process.run(() => this.#tellToMove(seat, id, address));
  }

  fill(node: number, isFull: boolean): void {
    if (isFull) this.#full.add(node);
    else this.#full.delete(node);
  }

  /** Connections of a client, or to a node, that are open on both sides; the newest last. */
  connections(of: { readonly client?: number; readonly node?: number }): readonly Connection[] {
    this.#seats = this.#seats.filter(({ connection, life }) => connection.isOpen && !life.process.isOver);
    const life = of.node === undefined ? null : this.#lives[of.node];
    return this.#seats.filter((seat) => (of.node === undefined ? seat.client === of.client : seat.life === life)).map(({ connection }) => connection);
  }

  /** A client opens a link. */
  dial(from: { readonly client: number; readonly process: Process }, url: string, events: LinkEvents): Connection {
    const { world, clock, random, codec } = this.#ports;
    const node = this.#nodeAt(url);
    const life = this.#lives[node] ?? null;
    const delayMs = (): number => world.latencyMs * (0.5 + random.next());
    const connection = new Connection({ clock, delayMs, codec, client: from.process, node: life?.process ?? new Process(clock), events });
    if (life === null) {
      connection.refuse(this.#dark.has(node) ? null : delayMs());
      return connection;
    }
    const seat: Seat = { connection, client: from.client, life, session: null };
    clock.after(delayMs(), () => life.process.run(() => this.#accept(seat, node)));
    this.#seats.push(seat);
    return connection;
  }

  async stop(): Promise<void> {
    for (const life of this.#lives) await life?.sessions.stop();
  }

  #accept(seat: Seat, node: number): void {
    const { connection, life } = seat;
    if (life.isDraining) return connection.refuse(1);
    if (this.#full.has(node)) {
      connection.accept({ receive() {}, drained() {}, closed() {} });
      return connection.link.close(CloseCode.tryLater, JSON.stringify({ retryMs: 1_500, slot: 'soon' }));
    }
    const session = life.sessions.accept(connection.link, { headers: {}, url: '/evenkeel', remoteAddress: '' });
    seat.session = session;
    connection.accept({
      receive: (message) => session.receive(message),
      drained: () => session.drained(),
      closed: (code) => life.sessions.closed(session, code),
    });
  }

  #tellToMove({ session, life, connection }: Seat, id: number | null, address: number | null): void {
    if (session === null) return connection.link.close(CloseCode.restart, 'drain');
    const target = id === null || address === null ? null : { id: `n${id}`, address: addressOf(address) };
    life.sessions.move(session, { reason: 'rebalance', plan: null, target });
    life.process.after(MOVE_MS, () => connection.link.close(CloseCode.restart, 'rebalance'));
  }

  #end(node: number, life: Life, clientMs: number | null): void {
    if (this.#lives[node] !== life) return;
    this.#lives[node] = null;
    life.process.end();
    for (const seat of this.#seats.filter((seat) => seat.life === life)) {
      const part = clientMs === 0 ? 1 : this.#ports.random.next();
      seat.connection.break({ upPart: 0, downPart: part, clientMs, nodeMs: null });
    }
  }

  #nodeAt(url: string): number {
    const { host } = new URL(url);
    if (host !== new URL(ANYBODY).host) return Number(host.slice(1));
    // A balancer that knows who is up.
    const up = [...this.#lives.keys()].filter((node) => this.#lives[node]?.isDraining === false);
    return up[Math.floor(this.#ports.random.next() * up.length)] ?? 0;
  }

  #hooks(process: Process): Parameters<typeof readSessionsOptions>[0] {
    const { world } = this.#ports;
    const answer = <T>(value: T): T | Promise<T> =>
      world.asyncHooks ? new Promise((resolve) => void process.after(this.#ports.random.next() * 50, () => resolve(value))) : value;
    return {
      authenticate: ({ token }) => answer({ user: token }),
      authorize: ({ action, user, topic }) => answer(!(world.refusing && action === 'publish' && topic === forbiddenTo(user ?? ''))),
    };
  }

  #log(node: number): Log {
    const nothing = (): void => {};
    const error = (facts: object, message: string): void => {
      const { error } = facts as { readonly error?: unknown };
      this.#ports.alarm(`n${node} logged '${message}': ${error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(facts)}`);
    };
    return { debug: nothing, info: nothing, warn: nothing, error };
  }
}

/** Two clients are the same user. */
export const userOf = (client: number): string => `u${client >> 1}`;
export const topicOf = (stream: number): string => `t${stream}`;
/** The topic on which a user may not publish, where there is refusing. */
export const forbiddenTo = (user: string): string => topicOf(Number(user.slice(1)) % 2);
