/**
 * The library: `evenkeel(options)` makes this process a node of a fleet, and `attach` hands it the servers whose
 * connections it looks after.
 *
 * @module
 */
import type { Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import { Server as NetServer } from 'node:net';
import { z } from 'zod';
import { EvenkeelError } from '../core/errors.ts';
import type { Listen } from '../core/event.ts';
import type { Goodbye } from '../core/goodbye.ts';
import type { Log } from '../core/log.ts';
import { describeIssue, shown } from '../core/options.ts';
import type { Connection } from '../connections/connection.ts';
import { connectionOf } from '../connections/socket-link.ts';
import type { Attachment } from '../connections/ports.ts';
import type { Engine } from '../engine/engine.ts';
import { openEngine } from '../engine/open.ts';
import { afterThis, realClock, stayAlive } from '../host/clock.ts';
import { loadSampler } from '../host/load.ts';
import { freshName, realRandom } from '../host/random.ts';
import { canCatch, exit, onSignals } from '../host/signals.ts';
import { logOf } from '../host/warnings.ts';
import { FleetNode } from '../node/node.ts';
import { nodeShape, readNodeOptions, type NodeOptions } from '../node/options.ts';
import { attachTo, isSocketIo, type Attachable } from './attach.ts';
import { tamedLoad } from './load.ts';
import { serveSessions, type SessionServer, type SessionsOptions } from './sessions/index.ts';

export { EvenkeelError, errorCodes, type ErrorCode } from '../core/errors.ts';
export type { Goodbye, GoodbyeReason } from '../core/goodbye.ts';
export type { Log } from '../core/log.ts';
export type { DrainOptions, LifetimeOptions, RebalanceOptions } from '../core/options.ts';
export type { NodeLimits, NodeOptions } from '../node/options.ts';
export { readAssignment, type Assignment } from '../node/assignment.ts';
export type { NodeRecord } from '../core/membership.ts';
export type { Engine } from '../engine/engine.ts';
export type { Attachable } from './attach.ts';
export {
  Refusal,
  type Asker,
  type Handler,
  type HandlerOptions,
  type Identity,
  type Knock,
  type SessionServer,
  type SessionsOptions,
  type Wish,
} from './sessions/index.ts';

export interface EvenkeelOptions extends NodeOptions {
  /**
   * What the nodes share: `local` (default: the processes of this machine, nothing to install), `local:NAME`, `memory`
   * (this process alone), `redis://...`, or an engine that you opened.
   */
  readonly engine?: string | Engine | undefined;
  /**
   * Signals that drain this process and then end it with exit code 0; a second one ends it at once with 1. Default
   * SIGTERM and SIGUSR2; `[]`: none, and you call `drain` yourself.
   */
  readonly signals?: readonly NodeJS.Signals[] | undefined;
  /** Where facts go; a pino logger fits. Default: warnings and errors are warnings of the process, each at most once a minute. `null`: nowhere. */
  readonly log?: Log | null | undefined;
}

/** A page of connections must fit into one message of the engine. */
const USER_CHARS = 100;

/** This process as a node of its fleet. */
export interface Evenkeel extends AsyncDisposable {
  readonly id: string;
  /** Looks after the connections of `server` from now on; before or after it listens. Attach each server once. */
  attach(server: Attachable): Attachment;
  /** Lets sessions in through an HTTP server: clients of `evenkeel/client`, whose messages survive every move. Once per path and server. */
  sessions(server: HttpServer | HttpsServer, options?: SessionsOptions): SessionServer;
  /** Empties the node by its deadline, closes the attached servers' listening sockets, and resolves. Twice is once. */
  drain(): Promise<void>;
  /** Leaves the fleet at once. Open connections, servers, and an engine that you handed over stay yours. Twice is once. */
  close(): Promise<void>;
  /** What the node says of itself. */
  status(): ReturnType<FleetNode['record']>;
  /**
   * Called when the connection under `of` (a socket, request, response or WebSocket) is wanted elsewhere while a response
   * or stream is open on it, so that you end it between two events. Without it long responses are left alone.
   */
  onRetire(of: object, listener: (goodbye: Goodbye) => void): void;
  /** Names the user of a connection, for tables and logs; what is longer than 100 characters is cut. */
  setUser(of: object, user: string): void;
  /** A pinned connection is never moved; a drain's deadline ends it all the same. */
  pin(of: object, pinned?: boolean): void;
  /** What a connection weighs where load is balanced; 1 by default. */
  setWeight(of: object, weight: number): void;
  /** Told for every connection that is told to go. */
  readonly onGoodbye: Listen<{ readonly connection: Connection; readonly goodbye: Goodbye }>;
  /** The node beneath, for the admin API. */
  readonly node: FleetNode;
}

const engineSchema = z.custom<Engine>((value) => typeof value === 'object' && value !== null && 'putMember' in value, 'it must be an address or an engine');
const logSchema = z.custom<Log>(isLog, 'it must have debug, info, warn and error');
const schema = z.strictObject({
  ...nodeShape,
  engine: z.union([z.string().max(2048), engineSchema]).optional(),
  signals: z.array(z.string().refine(canCatch, 'it must be a signal of this system that a process can catch')).optional(),
  log: logSchema.nullish(),
});

/** Makes this process a node of a fleet. Throws EVENKEEL_BAD_OPTION before anything is started. */
export function evenkeel(options: EvenkeelOptions = {}): Evenkeel {
  const checked = schema.safeParse(options);
  if (!checked.success) throw new EvenkeelError('EVENKEEL_BAD_OPTION', describeIssue(checked.error.issues[0], options, '', schema));
  const { engine: wanted = 'local', signals = ['SIGTERM', 'SIGUSR2'], log: wantedLog, ...rest } = options;
  const log = logOf(wantedLog);
  const settings = readNodeOptions(rest.load === undefined ? rest : { ...rest, load: tamedLoad(rest.load, log) });
  const opened = typeof wanted === 'string' ? openEngine(wanted, { fleet: settings.fleet, clock: realClock, random: realRandom, log }) : null;
  const engine = opened ?? (wanted as Engine);
  const sampler = loadSampler();
  const node = new FleetNode(settings, { engine, clock: realClock, random: realRandom, log, incarnation: freshName(), sampleLoad: () => sampler.sample() });
  return new Server(node, { signals, log, sampler, opened });
}

function isLog(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return ['debug', 'info', 'warn', 'error'].every((level) => typeof (value as Record<string, unknown>)[level] === 'function');
}

interface ServerPorts {
  readonly signals: readonly NodeJS.Signals[];
  readonly log: Log;
  readonly sampler: { stop(): void };
  /** The engine, where it is ours to close. */
  readonly opened: Engine | null;
}

/** Two nodes would count the same connections, and each would move them. */
const holders = new WeakMap<Attachable, Evenkeel>();

class Server implements Evenkeel {
  readonly node: FleetNode;
  readonly onGoodbye: Evenkeel['onGoodbye'];
  readonly #servers = new Map<Attachable, Attachment>();
  readonly #sessions = new Set<SessionServer>();
  readonly #log: Log;
  readonly #signals: { stop(): void };
  readonly #sampler: { stop(): void };
  readonly #opened: Engine | null;
  #drained: Promise<void> | null = null;

  constructor(node: FleetNode, { signals, log, sampler, opened }: ServerPorts) {
    this.node = node;
    this.onGoodbye = node.onGoodbye;
    this.#log = log;
    this.#sampler = sampler;
    this.#opened = opened;
    this.#signals = onSignals(signals, (signal) => this.#signalled(signal));
    node.onDrain((what) => {
      if (what === 'done' && node.exitsAfterDrain) void this.#end();
      // The next drain is a new one, and the next signal the first.
      if (what === 'undone') this.#drained = null;
    });
    void node.start();
  }

  get id(): string {
    return this.node.settings.id;
  }

  attach(server: Attachable): Attachment {
    this.#mustBeOpen('attach()');
    const holder = holders.get(server);
    if (holder !== undefined) {
      const whose = holder === this ? 'is attached' : `node ${holder.id} has`;
      throw new EvenkeelError('EVENKEEL_ALREADY_ATTACHED', `attach() must be called once per server, got one that ${whose}`);
    }
    const attachment = attachTo(this.node, server);
    this.#servers.set(server, attachment);
    holders.set(server, this);
    return {
      detach: () => {
        // Called again, it must not touch what was attached since then.
        if (this.#servers.get(server) !== attachment) return;
        attachment.detach();
        this.#servers.delete(server);
        holders.delete(server);
      },
    };
  }

  sessions(server: HttpServer | HttpsServer, options: SessionsOptions = {}): SessionServer {
    this.#mustBeOpen('sessions()');
    const served = serveSessions(server, options, { node: this.node, clock: realClock, log: this.#log, freshName, defer: afterThis });
    this.#sessions.add(served);
    return served;
  }

  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  async close(): Promise<void> {
    this.#signals.stop();
    this.#sampler.stop();
    for (const [server, attachment] of this.#servers) {
      attachment.detach();
      holders.delete(server);
    }
    this.#servers.clear();
    await Promise.all([...this.#sessions].map((sessions) => sessions.detach()));
    this.#sessions.clear();
    await this.node.close();
    await this.#opened?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  status(): ReturnType<FleetNode['record']> {
    return this.node.record();
  }

  onRetire(of: object, listener: (goodbye: Goodbye) => void): void {
    if (typeof listener !== 'function') throw new EvenkeelError('EVENKEEL_BAD_OPTION', `listener must be a function, got ${shown(listener)}`);
    this.node.registry.onRetire(this.#connection(of), listener);
  }

  setUser(of: object, user: string): void {
    // From JavaScript anything may come, numbers of users above all.
    if (typeof user !== 'string') throw new EvenkeelError('EVENKEEL_BAD_OPTION', `user must be of type string, got ${shown(user)}`);
    this.#connection(of).user = user.slice(0, USER_CHARS);
  }

  pin(of: object, pinned = true): void {
    this.node.registry.pin(this.#connection(of), pinned);
  }

  setWeight(of: object, weight: number): void {
    if (!(weight > 0 && weight < 1e9)) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `weight must be a positive number, got ${weight}`);
    this.node.registry.weigh(this.#connection(of), weight);
  }

  #mustBeOpen(call: string): void {
    if (this.node.state === 'left') throw new EvenkeelError('EVENKEEL_NODE_CLOSED', `${call} must be called before close(), node ${this.id} is closed`);
  }

  #connection(of: object): Connection {
    // From JavaScript anything may come.
    const connection = typeof of === 'object' && of !== null ? connectionOf(of) : undefined;
    if (connection === undefined)
      throw new EvenkeelError('EVENKEEL_UNKNOWN_CONNECTION', 'the socket, request or WebSocket must belong to an attached server and be open');
    return connection;
  }

  async #drain(): Promise<void> {
    // Its own timers would not: who waits for it may have closed all that did.
    const alive = stayAlive();
    try {
      await this.node.drain();
    } finally {
      alive.stop();
    }
    if (this.#serves) return;
    if (this.#servers.size === 0) return;
    for (const server of this.#servers.keys()) stopListening(server);
    this.node.shut();
  }

  #signalled(signal: string): void {
    if (this.#drained !== null) {
      this.#log.warn({ signal }, 'a second signal: ending at once');
      exit(1);
    }
    this.#log.info({ signal }, 'draining');
    void this.#end();
  }

  async #end(): Promise<void> {
    await this.drain();
    if (this.#serves) return this.#log.info({ node: this.id }, 'the drain was taken back: the process goes on');
    await this.close();
    exit(0);
  }

  /** After a drain: somebody took it back meanwhile. */
  get #serves(): boolean {
    return this.node.state === 'up';
  }
}

/** Stops accepting without touching open connections: `close()` of an HTTP server would cut idle ones in mid-request. */
function stopListening(server: Attachable): void {
  const below = isSocketIo(server) ? server.httpServer : server;
  if (below instanceof NetServer) {
    if (below.listening) NetServer.prototype.close.call(below);
    return;
  }
  // One with a port of its own brought its server along; else the server that it shares is its owner's.
  if (!isSocketIo(server) && !(server instanceof NetServer) && typeof server.options.port === 'number') server.close();
}
