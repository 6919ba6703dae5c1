// The connection tier: the gateway ends sessions and plain WebSockets itself, and an application in any language hears of them and
// speaks to them over HTTP. Sessions keep all their promises; a plain WebSocket gets what is said while it is open.
import { createServer, IncomingMessage, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { listening } from '../host/listen.ts';
import type { FleetNode } from '../node/node.ts';
import { Refusal, serveSessions, type Identity, type ServedSessions } from '../server/sessions/index.ts';
import type { Knock } from '../server/sessions/options.ts';
import type { Upgrade, Upgrader } from '../gateway/ports.ts';
import { offersOurs } from '../gateway/request-parts.ts';
import type { Address, TierSettings } from '../gateway/settings.ts';
import { TierApi } from './api.ts';
import { Application } from './application.ts';
import { Grants } from './grants.ts';
import { facts, PlainSockets, TARGET_HEADER } from './plain.ts';
import { Rooms } from './rooms.ts';
import { heard, said, valueOf } from './values.ts';

export interface TierPorts {
  readonly node: FleetNode;
  readonly clock: Clock;
  readonly log: Log;
  readonly fetch: typeof globalThis.fetch;
  readonly freshName: () => string;
  readonly defer: (task: () => void) => void;
}

export interface Tier extends Upgrader {
  /** Where the application publishes. */
  readonly address: Address;
  /** Sessions and plain WebSockets here. */
  readonly counts: { readonly sessions: number; readonly websockets: number };
  close(): Promise<void>;
}

/** The inner server that sessions are attached to never listens; this is where its only path is. */
const INNER_PATH = '/tier';

/** Names the connection of a session link to the hooks. Nobody outside can set it: handshakes are made anew. */
const CONNECTION_HEADER = 'x-evenkeel-connection';
const HEADERS = ['authorization', 'cookie', 'host', 'origin', 'user-agent', 'x-forwarded-for'];
const HANDSHAKE = ['upgrade', 'connection', 'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol'];

const identity = z.looseObject({ user: z.string().min(1).max(100).nullish() });
const reply = z.looseObject({ code: z.number().int().min(200).max(599).default(200), message: z.string().max(1_000).default('') });

/** Resolves when its API listens. Rejects with EVENKEEL_PORT_TAKEN or EVENKEEL_BAD_OPTION; then nothing is left open. */
export async function openTier(settings: TierSettings, ports: TierPorts): Promise<Tier> {
  const tier = new ConnectionTier(settings, ports);
  try {
    await tier.listen();
  } catch (error) {
    await tier.close();
    throw error;
  }
  return tier;
}

class ConnectionTier implements Tier {
  readonly #settings: TierSettings;
  readonly #ports: TierPorts;
  readonly #application: Application;
  readonly #grants: Grants;
  readonly #inner: Server = createServer();
  readonly #sessions: ServedSessions;
  readonly #plain: PlainSockets;
  readonly #server: Server;
  /** Links that the application let in, by the names that it knows them by. */
  readonly #letIn = new Set<string>();
  #address: Address;

  constructor(settings: TierSettings, ports: TierPorts) {
    const { url, secret, timeoutMs, maxCalls, messageBytes, listen } = settings;
    const { clock, log, fetch, node, freshName } = ports;
    this.#settings = settings;
    this.#ports = ports;
    this.#address = listen;
    this.#application = new Application({ url, secret, timeoutMs, maxCalls, clock, log, fetch });
    this.#grants = new Grants(this.#application, clock);
    this.#sessions = serveSessions(
      this.#inner,
      {
        path: INNER_PATH,
        // The route looked at the Origin.
        origins: 'any',
        messageBytes,
        authenticate: (knock) => this.#authenticate(knock),
        authorize: (wish) => this.#grants.allows(wish),
      },
      ports,
    );
    this.#sessions.handle('*', (value, asker) => this.#ask({ type: 'message', ...asker, ...heard(value) }));
    const rooms = new Rooms(this.#sessions.hub);
    const plainPorts = { clock, log, application: this.#application, rooms, freshName, messageBytes, node: node.settings.id };
    this.#plain = new PlainSockets({ ...plainPorts, transport: node.transportPorts });
    const api = new TierApi({ secret, clock, sessions: this.#sessions, plain: this.#plain });
    this.#server = createServer((request, response) => void api.handle(request, response));
  }

  get address(): Address {
    return this.#address;
  }

  get counts(): Tier['counts'] {
    return { sessions: this.#sessions.count, websockets: this.#plain.count };
  }

  upgrade(upgrade: Upgrade): void {
    const { socket, rest, connection } = upgrade;
    // Whoever is let in adopts it; whoever is refused is forgotten.
    socket.once('close', () => this.#ports.node.registry.close(connection));
    const request = requestOf(upgrade);
    if (!offersOurs(upgrade.request)) return void this.#plain.enter(request, socket, rest);
    this.#follow(request, socket);
    this.#inner.emit('upgrade', request, socket, rest);
  }

  async listen(): Promise<void> {
    const { host, port } = this.#settings.listen;
    await listening(this.#server, { what: 'tier.listen', host, port }, () => this.#server.listen({ host, port }));
    this.#address = { host, port: (this.#server.address() as AddressInfo).port };
  }

  async close(): Promise<void> {
    this.#plain.detach();
    await this.#sessions.detach();
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Tells the application when the link is gone that it let in. */
  #follow(request: IncomingMessage, socket: Socket): void {
    const connection = this.#ports.freshName();
    request.headers[CONNECTION_HEADER] = connection;
    socket.once('close', () => {
      if (this.#letIn.delete(connection)) void this.#application.tell({ type: 'disconnected', connection, user: null, code: null });
    });
  }

  async #authenticate({ token, headers, url, remoteAddress }: Knock): Promise<Identity | null> {
    const connection = String(headers[CONNECTION_HEADER]);
    const node = this.#ports.node.settings.id;
    const told = facts({ headers, url }, remoteAddress);
    const answer = await this.#application.tell({ type: 'connected', kind: 'session', connection, node, token, ...told });
    if (answer.status === 401 || answer.status === 403) return null;
    const read = identity.safeParse(answer.body ?? {});
    if (answer.status < 200 || answer.status >= 300 || !read.success) throw new Error(`the application answered ${answer.status} to connected`);
    this.#letIn.add(connection);
    return { user: read.data.user ?? null };
  }

  async #ask(event: object): Promise<unknown> {
    const answer = await this.#application.tell(event);
    if (answer.status === 204) return undefined;
    const read = reply.safeParse(answer.body ?? {});
    if (answer.status === 0 || answer.status >= 500 || !read.success) throw new Refusal(503, 'the application does not answer');
    const { code, message } = read.data;
    if (answer.status >= 400) throw new Refusal(answer.status, message);
    if (code >= 400) throw new Refusal(code, message);
    const value = said.safeParse(read.data);
    return value.success ? valueOf(value.data) : undefined;
  }
}

/** The handshake as a server would have read it. What the client calls the tier's own headers does not get here. */
function requestOf({ request, socket }: Upgrade): IncomingMessage {
  const made = new IncomingMessage(socket);
  made.method = request.method;
  made.url = `${INNER_PATH}${queryOf(request.target)}`;
  for (const name of [...HANDSHAKE, ...HEADERS]) {
    const value = request.header(name);
    if (value !== undefined) made.headers[name] = value;
  }
  made.headers[TARGET_HEADER] = request.target;
  return made;
}

function queryOf(target: string): string {
  const at = target.indexOf('?');
  return at === -1 ? '' : target.slice(at);
}
