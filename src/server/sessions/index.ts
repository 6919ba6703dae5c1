// What an application holds after `node.sessions(...)`: says things on topics, to users, to everybody; answers requests; asks who is there.
import { Server as HttpServer } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import { Server as TlsServer } from 'node:tls';
import { EvenkeelError } from '../../core/errors.ts';
import { shown } from '../../core/options.ts';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import type { PresentMember } from '../../engine/streams.ts';
import type { FleetNode } from '../../node/node.ts';
import { EVERYBODY, frameLimits, INBOX, RESERVED, type Payload } from '../../protocol/frames.ts';
import { isTooDeep } from '../../protocol/schema.ts';
import { streamOf, type Hub } from '../hub/hub.ts';
import { attachSessions } from './attach.ts';
import { Door } from './door.ts';
import { readSessionsOptions, type SessionsOptions } from './options.ts';
import type { Handler, HandlerOptions } from './requests.ts';
import { Sessions } from './sessions.ts';

export { Refusal, type Asker, type Handler, type HandlerOptions } from './requests.ts';
export type { Identity, Knock, SessionsOptions, Wish } from './options.ts';

/** A value for clients: bytes, or anything that JSON can say. */
export type Value = unknown;

export interface SessionServer {
  /** Says `value` on `topic`, once, to everybody who follows it on any node. Resolves when the engine has it; rejects with EVENKEEL_ENGINE_UNREACHABLE. */
  publish(topic: string, value: Value): Promise<void>;
  /** To all sessions of a user, wherever connected; those that are between two links get it when they are back. */
  sendTo(user: string, value: Value): Promise<void>;
  /** To every session of the fleet. */
  broadcast(value: Value): Promise<void>;
  /** Answers requests for `method`, or with `*` those for methods without a handler. One handler per method. */
  handle(method: string, handler: Handler, options?: HandlerOptions): void;
  /** Who is on a topic, on all nodes; at most 1,000. */
  present(topic: string): Promise<readonly PresentMember[]>;
  /** Sessions whose newest link is on this node. */
  readonly count: number;
  /** Lets nobody in any more and gives back what the sessions hold. Open links are the server's. */
  detach(): Promise<void>;
}

/** The same for those who build on it. */
export interface ServedSessions extends SessionServer {
  /** Follows streams on this node. */
  readonly hub: Hub;
}

export interface SessionServerPorts {
  readonly node: FleetNode;
  readonly clock: Clock;
  readonly log: Log;
  readonly freshName: () => string;
  readonly defer: (task: () => void) => void;
}

/** Paths that let sessions in, by server: two that answer one handshake would spoil it. */
const taken = new WeakMap<object, Set<string>>();

/** Takes a path of a server. Gives back how to let go of it. */
function take(server: unknown, path: string): () => void {
  // From JavaScript anything may come.
  if (!(server instanceof HttpServer) && !(server instanceof HttpsServer)) {
    const got = typeof server === 'object' && server !== null ? 'another object' : shown(server);
    throw new EvenkeelError('EVENKEEL_NOT_SUPPORTED', `sessions() must be given a server of node:http or https, got ${got}`);
  }
  const paths = taken.get(server) ?? new Set();
  if (paths.has(path)) {
    throw new EvenkeelError('EVENKEEL_ALREADY_ATTACHED', `sessions() must be called once per path and server, got ${path} again: name another \`path\``);
  }
  taken.set(server, paths.add(path));
  return () => void paths.delete(path);
}

/** Lets sessions in through `server`. Throws EVENKEEL_BAD_OPTION, EVENKEEL_NOT_SUPPORTED and EVENKEEL_ALREADY_ATTACHED, and then nothing was started. */
export function serveSessions(server: HttpServer | HttpsServer, options: SessionsOptions, ports: SessionServerPorts): ServedSessions {
  const settings = readSessionsOptions(options);
  const letGo = take(server, settings.path);
  const { node, clock, log, freshName, defer } = ports;
  const { id, transport, admissionPerS, perAddressPerS } = node.settings;
  const scheme = server instanceof TlsServer ? 'wss' : 'ws';
  const sessions = new Sessions(settings, {
    engine: node.engine,
    clock,
    log,
    defer,
    freshName,
    node: id,
    heartbeat: { pingMs: transport.pingMs, deadMs: transport.deadMs },
    moveMs: transport.goodbyeMs,
    tally: node.sessionTally,
    urlOf: (address) => (address.includes('://') ? address : `${scheme}://${address}${settings.path}`),
  });
  const turnedAway = (refusal: Parameters<FleetNode['refusals']['count']>[0]): void => node.refusals.count(refusal);
  const door = new Door({ secret: () => sessions.secret, perS: admissionPerS, perAddressPerS, turnedAway }, clock.now());
  const attachment = attachSessions(server, { node, sessions, settings, door });
  sessions.start();
  return {
    hub: sessions.hub,
    publish: async (topic, value) => sessions.hub.publish(streamOf(checkTopic(topic), null), payloadOf(value)),
    sendTo: async (user, value) => sessions.hub.publish(streamOf(INBOX, user), payloadOf(value)),
    broadcast: async (value) => sessions.hub.publish(streamOf(EVERYBODY, null), payloadOf(value)),
    handle: (method, handler, given) => sessions.requests.handle(method, handler, given),
    present: (topic) => sessions.presence.present(checkTopic(topic)),
    get count() {
      return sessions.count;
    },
    async detach() {
      attachment.detach();
      letGo();
      await sessions.stop();
    },
  };
}

function payloadOf(value: Value): Payload {
  if (value instanceof Uint8Array) return { bytes: value };
  const json = JSON.stringify(value) as string | undefined;
  if (json === undefined) throw new EvenkeelError('EVENKEEL_BAD_OPTION', `a message must be JSON or bytes, got ${typeof value}`);
  // Clients refuse what is deeper, and so would every client that it reaches.
  if (isTooDeep(json)) throw new EvenkeelError('EVENKEEL_LIMIT', `a message must be nested at most ${frameLimits.depth} deep`);
  return { json };
}

function checkTopic(topic: string): string {
  if (typeof topic === 'string' && topic !== '' && topic.length <= frameLimits.nameChars && !topic.startsWith(RESERVED)) return topic;
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', `a topic must have 1 to ${frameLimits.nameChars} characters and not begin with @, got ${shown(topic)}`);
}
