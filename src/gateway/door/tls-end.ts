// Our end of TLS: takes sockets from the listener and gives back what they carry, with the name that the client asked for and
// the protocol that was agreed on.
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import type { TlsSettings } from '../settings.ts';
import { Certificates } from './certificates.ts';

export interface TlsPorts {
  /** Offered by ALPN, the first is preferred; null: ALPN is not taken part in. A client that wants none of them is refused. */
  readonly protocols: readonly string[] | null;
  /** As errors name it. */
  readonly listener: string;
  /** What tickets are sealed with now; absent: keys of its own. */
  readonly ticketKeys: (() => Buffer) | undefined;
  readonly secured: (raw: Socket, secured: { readonly socket: TLSSocket; readonly protocol: string | null; readonly serverName: string | null }) => void;
  readonly failed: (raw: Socket, error: Error) => void;
}

export class TlsEnd {
  /** It never listens: sockets are handed to it. */
  readonly #server: Server;
  #certificates: Certificates;
  readonly #wantedKeys: (() => Buffer) | undefined;
  #keys: Buffer | null = null;
  /** Sockets in their handshake, by both ends: the server gives back another object than it was given. */
  readonly #raw = new Map<string, Socket>();

  constructor(settings: TlsSettings, ports: TlsPorts) {
    this.#certificates = new Certificates(settings, ports.listener);
    this.#wantedKeys = ports.ticketKeys;
    this.#server = createServer({
      ...settings.certificate,
      ...(ports.protocols === null ? {} : { ALPNProtocols: [...ports.protocols] }),
      SNICallback: (name, answer) => answer(null, this.#certificates.find(name)),
    });
    this.#server.on('secureConnection', (socket: TLSSocket) => {
      const raw = this.#take(socket);
      if (raw === undefined) return void socket.destroy();
      const { alpnProtocol, servername } = socket as TLSSocket & { readonly servername?: string | false };
      const serverName = typeof servername === 'string' && servername !== '' ? servername.toLowerCase() : null;
      ports.secured(raw, { socket, protocol: typeof alpnProtocol === 'string' ? alpnProtocol : null, serverName });
    });
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const raw = this.#take(socket);
      if (raw !== undefined) ports.failed(raw, error);
    });
  }

  /** Takes the handshakes from now on to other certificates. Throws EVENKEEL_BAD_OPTION and changes nothing where they are not right. */
  update(settings: TlsSettings, listener: string): void {
    const certificates = new Certificates(settings, listener);
    this.#server.setSecureContext({ ...settings.certificate });
    // Those go with the context.
    this.#keys = null;
    this.#certificates = certificates;
  }

  /** `rest`: what was read of it already. */
  begin(raw: Socket, rest: Buffer | null): void {
    const key = endsOf(raw);
    if (key === null) return void raw.destroy();
    this.#seal();
    this.#raw.set(key, raw);
    raw.once('close', () => {
      if (this.#raw.get(key) === raw) this.#raw.delete(key);
    });
    // It may flow, to whoever read the first bytes: from here on everything is for TLS.
    raw.pause();
    if (rest !== null) raw.unshift(rest);
    this.#server.emit('connection', raw);
  }

  /** Keys that are new hold for the handshakes from now on. */
  #seal(): void {
    const keys = this.#wantedKeys?.() ?? null;
    if (keys === this.#keys || keys === null) return;
    this.#keys = keys;
    this.#server.setTicketKeys(keys);
  }

  #take(socket: TLSSocket): Socket | undefined {
    const key = endsOf(socket);
    if (key === null) return undefined;
    const raw = this.#raw.get(key);
    this.#raw.delete(key);
    return raw;
  }
}

/** null for a socket that is not connected any more. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string | null {
  return remoteAddress === undefined ? null : `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}
