// What applications see of the socket of a session that runs through our passage. Node wraps any stream that is not a
// socket in one of its own that knows neither addresses nor certificates; here it learns to ask the real one.
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Passage } from './goaway.ts';

const ADDRESSES = ['remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort', 'localFamily', 'address', 'bytesRead', 'bytesWritten'];

/** These TLSSocket sets on each of its objects; the others stand on its prototype. */
const TLS_STATE = ['encrypted', 'authorized', 'authorizationError', 'alpnProtocol', 'servername'];

const TLS_METHODS = Object.getOwnPropertyNames(TLSSocket.prototype).filter((name) => name !== 'constructor' && !name.startsWith('_'));

/** Node's wrapper; `stream` is what was wrapped. */
interface Wrapper extends Socket {
  readonly stream: Passage;
}

/** Gives sockets their faces. Keeps one prototype per kind of socket, because properties on each would cost kilobytes. */
export class Faces {
  #plain: object | null = null;
  #secure: object | null = null;

  /** Makes `session.socket` and `request.socket` answer like the real socket. */
  put(session: ServerHttp2Session, socket: Socket): void {
    const wrapper = socketOf(session);
    const { encrypted, alpnProtocol } = socket as Partial<TLSSocket>;
    const parent = Object.getPrototypeOf(wrapper) as object;
    if (encrypted === true) this.#secure ??= face(parent, [...ADDRESSES, ...TLS_STATE, ...TLS_METHODS]);
    else this.#plain ??= face(parent, ADDRESSES);
    Object.setPrototypeOf(wrapper, encrypted === true ? this.#secure : this.#plain);
    // The session read these from the wrapper while it was being made.
    if (encrypted === true) Object.defineProperties(session, { encrypted: { value: true }, alpnProtocol: { value: alpnProtocol } });
  }
}

/** The socket object itself: `session.socket` is a proxy that forbids most of its methods. */
export function socketOf(session: ServerHttp2Session): Socket {
  return session.socket.valueOf() as Socket;
}

function face(parent: object, names: readonly string[]): object {
  const properties: PropertyDescriptorMap = {};
  for (const name of names) {
    properties[name] = {
      configurable: true,
      get(this: Wrapper) {
        const socket = this.stream.socket as unknown as Record<string, unknown>;
        const value = socket[name];
        return typeof value === 'function' ? (value.bind(socket) as unknown) : value;
      },
      set(this: Wrapper, value: unknown) {
        (this.stream.socket as unknown as Record<string, unknown>)[name] = value;
      },
    };
  }
  return Object.create(parent, properties) as object;
}
