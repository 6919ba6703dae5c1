// Serves a zone over UDP and TCP. What does not fit into a datagram is cut to its head, and the asker comes back over TCP. Whatever
// cannot be read is dropped; an address that asks too often over UDP is sent to TCP, where addresses cannot be forged.
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv6, type Server, type Socket } from 'node:net';
import { decode, encode, streamEncode, type Packet } from 'dns-packet';
import type { Clock } from '../../core/clock.ts';
import type { Log } from '../../core/log.ts';
import { PerAddress } from '../../core/per-address.ts';
import { listening } from '../../host/listen.ts';
import type { Address } from '../settings.ts';
import { answer, type Reply, type Zone } from './answer.ts';

export interface DnsPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly zone: Zone;
}

export interface DnsServer {
  readonly address: Address;
  /** Queries answered, those that could not be read, and those that were sent to TCP since they came too often. */
  readonly tally: { answered: number; unreadable: number; limited: number };
  close(): Promise<void>;
}

/** Datagrams an address may have answered each second: more than a resolver asks of a zone with few names and a TTL of seconds. */
const PER_ADDRESS_PER_S = 200;
const ADDRESSES = 10_000;
/** Open TCP connections, and how long one may say nothing (RFC 7766 asks for seconds), ms. */
const TCP_CONNECTIONS = 200;
const TCP_IDLE_MS = 10_000;
/** A query is a name and options: longer ones are no queries. */
const QUERY_BYTES = 4_096;
const TRUNCATED = 1 << 9;

/** Throws EVENKEEL_PORT_TAKEN, or EVENKEEL_BAD_OPTION where the address cannot be had at all; then nothing is left open. */
export async function openDnsServer(ports: DnsPorts): Promise<DnsServer> {
  const server = new ZoneServer(ports);
  await server.open();
  return server;
}

class ZoneServer implements DnsServer {
  readonly tally: DnsServer['tally'] = { answered: 0, unreadable: 0, limited: 0 };
  readonly #ports: DnsPorts;
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #sockets = new Set<Socket>();
  readonly #rates = new PerAddress({ perS: PER_ADDRESS_PER_S, addresses: ADDRESSES });
  #address: Address;

  constructor(ports: DnsPorts) {
    this.#ports = ports;
    this.#address = ports.zone.settings.listen;
    this.#udp = createSocket(isIPv6(this.#address.host) ? 'udp6' : 'udp4');
    this.#tcp = createServer((socket) => this.#accept(socket));
    this.#tcp.maxConnections = TCP_CONNECTIONS;
  }

  get address(): Address {
    return this.#address;
  }

  async open(): Promise<void> {
    const { host, port } = this.#address;
    try {
      await listening(this.#tcp, { what: 'dns.listen', host, port }, () => this.#tcp.listen({ host, port }));
      const bound = (this.#tcp.address() as { port: number }).port;
      this.#address = { host, port: bound };
      await listening(this.#udp, { what: 'dns.listen', host, port: bound }, () => this.#udp.bind({ address: host, port: bound }));
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#udp.on('message', (bytes, from) => this.#datagram(bytes, from));
    this.#udp.on('error', (error) => this.#ports.log.warn({ err: error }, 'a DNS answer could not be sent'));
    this.#tcp.on('error', (error) => this.#ports.log.warn({ err: error }, 'a DNS connection could not be accepted'));
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => void this.#tcp.close(() => resolve())),
      new Promise<void>((resolve) => {
        try {
          this.#udp.close(() => resolve());
        } catch {
          // It was never bound, or is closed.
          resolve();
        }
      }),
    ]);
  }

  #datagram(bytes: Buffer, from: RemoteInfo): void {
    const reply = this.#answer(bytes);
    if (reply === null) return;
    const limited = this.#rates.take(this.#ports.clock.now(), from.address) > 0;
    if (limited) this.tally.limited++;
    let encoded = limited ? null : encode(reply.packet);
    if (encoded === null || encoded.length > reply.udpBytes) encoded = encode(cut(reply.packet));
    this.#udp.send(encoded, from.port, from.address);
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    let waiting: Buffer = Buffer.alloc(0);
    socket.setTimeout(TCP_IDLE_MS, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      waiting = waiting.length === 0 ? bytes : Buffer.concat([waiting, bytes]);
      while (waiting.length >= 2) {
        const length = waiting.readUInt16BE(0);
        if (length > QUERY_BYTES) return void socket.destroy();
        if (waiting.length < 2 + length) return;
        const reply = this.#answer(waiting.subarray(2, 2 + length));
        waiting = waiting.subarray(2 + length);
        if (reply === null) return void socket.destroy();
        // Whoever asks on and reads nothing is not worth the memory.
        if (!socket.write(streamEncode(reply.packet)) && socket.writableLength > 1_048_576) return void socket.destroy();
      }
    });
  }

  #answer(bytes: Buffer): Reply | null {
    let query: Packet;
    try {
      query = decode(bytes);
    } catch {
      this.tally.unreadable++;
      return null;
    }
    const reply = answer(query, this.#ports.zone);
    if (reply === null) this.tally.unreadable++;
    else this.tally.answered++;
    return reply;
  }
}

/** Only the head, the question and our OPT record: the asker sees that there is more. */
function cut(packet: Packet): Packet {
  return {
    ...packet,
    flags: (packet.flags ?? 0) | TRUNCATED,
    answers: [],
    authorities: [],
    additionals: (packet.additionals ?? []).filter((record) => record.type === 'OPT'),
  };
}
