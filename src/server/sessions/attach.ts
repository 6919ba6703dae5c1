// Lets sessions in through an HTTP server: the handshake at its path, the Origin check, the choice of the codec, and the WebSocket
// under each link, which is a connection of this node like any other.
import { STATUS_CODES, type IncomingHttpHeaders, type IncomingMessage, type Server as HttpServer } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Socket } from 'node:net';
import type { Connection } from '../../connections/connection.ts';
import type { Attachment } from '../../connections/ports.ts';
import type { FrameRules, FrameSocket } from '../../connections/transports/frame-socket.ts';
import { attachFrameSockets, type FrameAttachment } from '../../connections/transports/frame-sockets.ts';
import { acceptance, readHandshake } from '../../connections/transports/websocket-handshake.ts';
import type { FleetNode } from '../../node/node.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { subprotocols, type Codec } from '../../protocol/frames.ts';
import { jsonCodec } from '../../protocol/json.ts';
import { protoCodec } from '../../protocol/proto.ts';
import { laterReason, type Door } from './door.ts';
import type { Accepted, SessionsSettings } from './options.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';
import { WebSocketLink, webSocketPacker, type LinkKind } from './websocket-link.ts';

/** Who was told to come later has this long to answer the close: there may be many of them. */
const LATER_MS = 2_000;

const kindOf = (codec: Codec): LinkKind => ({ codec, packer: webSocketPacker(codec) });

const KINDS = { [subprotocols.json]: kindOf(jsonCodec), [subprotocols.proto]: kindOf(protoCodec) };

/** The first that a client offers is taken. */
const KNOWN = [subprotocols.proto, subprotocols.json] as const;

export interface AttachPorts {
  readonly node: FleetNode;
  readonly sessions: Sessions;
  readonly settings: SessionsSettings;
  readonly door: Door;
}

/** Listens for upgrades of `server` at the path of the sessions. Other upgrades stay those of whoever else listens. */
export function attachSessions(server: HttpServer | HttpsServer, ports: AttachPorts): Attachment {
  const { node, settings } = ports;
  const entrance = new Entrance(ports);
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
      entrance.detach();
    },
  };
}

class Entrance {
  readonly #ports: AttachPorts;
  readonly #transport: FrameAttachment<Session>;
  readonly #rules: FrameRules<Session>;
  /** Shared by all: closures of each link would cost memory. */
  readonly #onRetire: Connection['onRetire'];

  constructor(ports: AttachPorts) {
    const { node, sessions, settings } = ports;
    this.#ports = ports;
    // What a client says after our Close was not acknowledged, so it says it again on its next link.
    this.#transport = attachFrameSockets(node.transportPorts, {
      message: ({ owner }, message) => {
        if (owner === null) return;
        owner.isHearing = true;
        if ((typeof message === 'string') !== owner.link.codec.binary) owner.receive(message);
        else owner.end(CloseCode.badFrame, 'text and binary messages belong to different sub-protocols');
      },
      allHeard: ({ owner }) => void (owner?.isHearing === true && owner.allHeard()),
      pinged: ({ owner }) => owner?.pinged(),
      drained: ({ owner }) => owner?.drained(),
      closed: ({ owner }, code) => void (owner !== null && sessions.closed(owner, code)),
    });
    this.#onRetire = (goodbye, { handle }) => {
      const { owner } = handle as FrameSocket<Session>;
      if (owner !== null) sessions.move(owner, goodbye);
    };
    // JSON writes bytes as base64, and escapes; the exact limit is that of the payload.
    this.#rules = { clock: node.transportPorts.clock, maxBytes: 2 * settings.messageBytes + 65_536, events: this.#transport.events };
  }

  knock(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { settings, node, door } = this.#ports;
    if (!isWelcome(request, settings.origins)) return refuse(socket, 403, {});
    const handshake = readHandshake(request);
    if (handshake.kind === 'refused') return refuse(socket, handshake.status, handshake.headers);
    const { key, offered } = handshake;
    const protocol = KNOWN.find((known) => offered.includes(known)) ?? null;
    if (protocol === null && offered.length > 0) return refuse(socket, 400, {});
    const { clock } = node.transportPorts;
    const query = (request.url ?? '').split('?', 2)[1];
    const slot = query === undefined ? null : new URLSearchParams(query).get('slot');
    const at = { now: clock.now(), wall: clock.wallTime() };
    const answer = door.arrive(at, { slot, address: () => socket.remoteAddress ?? '' });
    if (answer.kind === 'refused') return refuse(socket, 503, { 'Retry-After': String(answer.retryAfterS) });
    // It may have left meanwhile.
    if (!socket.readable || !socket.writable) return void socket.destroy();
    socket.write(acceptance(key, protocol));
    const link = new WebSocketLink({ socket, head }, KINDS[protocol ?? subprotocols.json], this.#rules);
    if (answer.kind === 'in') return this.#enter(link, request);
    // Browsers cannot read a failed handshake; so this one succeeds, to be closed with what they need to know.
    link.close(CloseCode.tryLater, laterReason(answer), LATER_MS);
  }

  detach(): void {
    this.#transport.detach();
  }

  #enter(link: WebSocketLink, request: IncomingMessage): void {
    const { node, sessions } = this.#ports;
    link.owner = sessions.accept(link, new Caller(request));
    const connection = this.#transport.accept(link);
    node.registry.direct(connection);
    node.registry.onRetire(connection, this.#onRetire);
  }
}

/** Its address is only looked up where somebody asks: Node keeps with the socket what it found. The request itself is let go of. */
class Caller implements Accepted {
  readonly headers: IncomingHttpHeaders;
  readonly url: string;
  readonly #socket: Socket;

  constructor({ headers, url = '', socket }: IncomingMessage) {
    this.headers = headers;
    this.url = url;
    this.#socket = socket;
  }

  get remoteAddress(): string {
    return this.#socket.remoteAddress ?? '';
  }
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
