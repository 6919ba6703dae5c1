// Lets sessions in through an HTTP server: the handshake at its path, the Origin check, the choice of the codec, and the WebSocket
// under each link, which is a connection of this node like any other.
import { STATUS_CODES, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Attachment } from '../../connections/ports.ts';
import { connectionOf } from '../../connections/socket-link.ts';
import { attachWebSocket } from '../../connections/transports/websocket.ts';
import type { FleetNode } from '../../node/node.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { subprotocols, type Codec } from '../../protocol/frames.ts';
import { jsonCodec } from '../../protocol/json.ts';
import { protoCodec } from '../../protocol/proto.ts';
import type { Packer } from '../hub/follower.ts';
import { laterReason, type Door } from './door.ts';
import type { SessionsSettings } from './options.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import { WebSocketLink, webSocketPacker } from './websocket-link.ts';

/** Who was told to come later has this long to answer the close: there may be many of them. */
const LATER_MS = 2_000;

const kindOf = (codec: Codec): { readonly codec: Codec; readonly packer: Packer } => ({ codec, packer: webSocketPacker(codec) });

const KINDS = { [subprotocols.json]: kindOf(jsonCodec), [subprotocols.proto]: kindOf(protoCodec) };

const sessionKey = Symbol('evenkeel.session');

interface Linked extends WebSocket {
  [sessionKey]?: Session | undefined;
}

interface Drained extends Socket {
  [sessionKey]?: Session | undefined;
}

export interface AttachPorts {
  readonly node: FleetNode;
  readonly sessions: Sessions;
  readonly settings: SessionsSettings;
  readonly door: Door;
}

/** Listens for upgrades of `server` at the path of the sessions. Other upgrades stay those of whoever else listens. */
export function attachSessions(server: HttpServer | HttpsServer, ports: AttachPorts): Attachment {
  const { node, settings } = ports;
  const wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    // JSON writes bytes as base64, and escapes; the exact limit is that of the payload.
    maxPayload: 2 * settings.messageBytes + 65_536,
    handleProtocols: (offered) => [subprotocols.proto, subprotocols.json].find((known) => offered.has(known)) ?? false,
  });
  // What a client says after our Close was not acknowledged, so it says it again on its next link.
  const transport = attachWebSocket(wss, node.transportPorts, { lateMessages: 'discard' });
  const entrance = new Entrance(wss, ports);
  const onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const path = (request.url ?? '').split('?', 1)[0];
    if (path === settings.path) entrance.knock(request, socket as Socket, head);
    else if (server.listenerCount('upgrade') === 1) refuse(socket, 404, {});
  };
  server.on('upgrade', onUpgrade);
  node.receivesDirected = true;
  return {
    detach: () => {
      server.off('upgrade', onUpgrade);
      transport.detach();
    },
  };
}

class Entrance {
  readonly #wss: WebSocketServer;
  readonly #ports: AttachPorts;
  readonly #onClose: (this: Linked, code: number) => void;

  constructor(wss: WebSocketServer, ports: AttachPorts) {
    this.#wss = wss;
    this.#ports = ports;
    const { sessions } = ports;
    this.#onClose = function (code) {
      const session = this[sessionKey];
      if (session !== undefined) sessions.closed(session, code);
    };
  }

  knock(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { settings, node, door } = this.#ports;
    if (!isWelcome(request, settings.origins)) return refuse(socket, 403, {});
    if (!offersOurs(request)) return refuse(socket, 400, {});
    const { clock } = node.transportPorts;
    const slot = new URLSearchParams((request.url ?? '').split('?', 2)[1] ?? '').get('slot');
    const at = { now: clock.now(), wall: clock.wallTime() };
    const answer = door.arrive(at, { slot, address: socket.remoteAddress ?? '' });
    if (answer.kind === 'refused') return refuse(socket, 503, { 'Retry-After': String(answer.retryAfterS) });
    this.#wss.handleUpgrade(request, socket, head, (ws) => {
      if (answer.kind === 'in') return this.#enter(ws, request, socket);
      // Browsers cannot read a failed handshake; so this one succeeds, to be closed with what they need to know.
      ws.on('error', () => ws.terminate());
      ws.close(CloseCode.tryLater, laterReason(answer));
      const end = clock.after(LATER_MS, () => ws.terminate());
      ws.on('close', () => end.cancel());
    });
  }

  #enter(ws: Linked, request: IncomingMessage, socket: Socket): void {
    const { node, sessions } = this.#ports;
    const link = new WebSocketLink(ws, socket, KINDS[(ws.protocol || subprotocols.json) as keyof typeof KINDS]);
    const from = { headers: request.headers, url: request.url ?? '', remoteAddress: socket.remoteAddress ?? '' };
    const session = sessions.accept(link, from);
    ws[sessionKey] = session;
    (socket as Drained)[sessionKey] = session;
    ws.on('message', onMessage);
    ws.on('ping', onPing);
    ws.on('close', this.#onClose);
    socket.on('drain', onDrain);
    this.#wss.emit('connection', ws, request);
    const connection = connectionOf(ws);
    if (connection === undefined) return;
    node.registry.direct(connection);
    node.registry.onRetire(connection, (goodbye) => sessions.move(session, goodbye));
  }
}

/** These are shared by all links: closures of each link would cost memory. */
function onDrain(this: Drained): void {
  this[sessionKey]?.drained();
}

/** `ws` answers by itself. */
function onPing(this: Linked): void {
  this[sessionKey]?.pinged();
}

function onMessage(this: Linked, data: RawData, isBinary: boolean): void {
  const session = this[sessionKey];
  if (session === undefined) return;
  const bytes = data as Buffer;
  if (isBinary !== session.link.codec.binary) session.end(CloseCode.badFrame, 'text and binary messages belong to different sub-protocols');
  else session.receive(isBinary ? bytes : bytes.toString());
}

function offersOurs(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'];
  if (offered === undefined) return true;
  return offered.split(',').some((name) => Object.hasOwn(KINDS, name.trim()));
}

/** Only browsers send an Origin, and they cannot be made to lie about it. */
function isWelcome({ headers }: IncomingMessage, origins: SessionsSettings['origins']): boolean {
  const { origin, host } = headers;
  if (origin === undefined || origins === 'any') return true;
  if (origins !== 'same') return origins.includes(origin);
  return URL.canParse(origin) && new URL(origin).host === host;
}

function refuse(socket: Duplex, status: number, headers: Readonly<Record<string, string>>): void {
  const lines = Object.entries({ ...headers, Connection: 'close', 'Content-Length': '0' }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => socket.destroy());
  // The server's timeouts do not hold for upgrades: a client that keeps its half open would keep the file too.
  socket.once('finish', () => socket.destroy());
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('')}\r\n`);
}
