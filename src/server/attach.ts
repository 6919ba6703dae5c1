// Finds out what kind of server was handed over, and lets the right transport look after its connections.
import { Server as HttpServer } from 'node:http';
import { Server as HttpsServer } from 'node:https';
import { Server as NetServer } from 'node:net';
import type { Http2SecureServer, Http2Server } from 'node:http2';
import type { WebSocketServer } from 'ws';
import { EvenkeelError } from '../core/errors.ts';
import type { Attachment } from '../connections/ports.ts';
import { attachHttp1 } from '../connections/transports/http1.ts';
import { attachHttp2 } from '../connections/transports/http2.ts';
import { attachSocketIo, type SocketIoServer } from '../connections/transports/socketio.ts';
import { attachTcp } from '../connections/transports/tcp.ts';
import { attachWebSocket } from '../connections/transports/websocket.ts';
import type { FleetNode } from '../node/node.ts';

/** What `attach` takes: servers of Node, of `ws`, and of Socket.IO 4. */
export type Attachable = HttpServer | HttpsServer | Http2Server | Http2SecureServer | NetServer | WebSocketServer | SocketIoServer;

export function attachTo(node: FleetNode, server: Attachable): Attachment {
  const { transportPorts, settings } = node;
  if (server instanceof HttpServer || server instanceof HttpsServer) return attachHttp1(server, transportPorts);
  if (isHttp2(server)) return attachHttp2(server, transportPorts);
  if (server instanceof NetServer) return attachTcp(server, transportPorts, { halfClose: settings.halfClose });
  if (isWebSocketServer(server)) return attachWebSocket(server, transportPorts, { lateMessages: settings.lateMessages });
  if (isSocketIo(server)) return attachSocketIo(withEngine(server), transportPorts);
  throw new EvenkeelError(
    'EVENKEEL_NOT_SUPPORTED',
    `attach() must be given a server of node:http, https, http2, net, tls, a WebSocketServer of ws or a Server of socket.io, got ${shown(server)}`,
  );
}

/** Only servers of node:http2 can change HTTP/2 settings; their classes are not exported. */
function isHttp2(server: object): server is Http2Server | Http2SecureServer {
  return server instanceof NetServer && typeof (server as Partial<Http2Server>).updateSettings === 'function';
}

function isWebSocketServer(server: object): server is WebSocketServer {
  // From JavaScript anything may come.
  const maybe = (server ?? {}) as Partial<WebSocketServer>;
  return typeof maybe.handleUpgrade === 'function' && typeof maybe.shouldHandle === 'function';
}

export function isSocketIo(server: object): server is SocketIoServer {
  const maybe = (server ?? {}) as Partial<SocketIoServer>;
  return typeof maybe.of === 'function' && typeof maybe.path === 'function';
}

function withEngine(io: SocketIoServer): SocketIoServer {
  if ((io as Partial<SocketIoServer>).engine !== undefined) return io;
  throw new EvenkeelError(
    'EVENKEEL_NOT_SUPPORTED',
    'attach() must be given a Server of socket.io that has its HTTP server, got one before io.attach() or io.listen()',
  );
}

function shown(value: unknown): string {
  if (typeof value === 'function') return 'a function (an Express app? hand over what app.listen() returned)';
  if (typeof value === 'object' && value !== null && 'server' in value) return 'an object that has a server (a Fastify instance? hand over its .server)';
  return value === null ? 'null' : typeof value;
}
