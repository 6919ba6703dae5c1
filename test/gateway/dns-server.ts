// A small DNS server for tests: answers A, AAAA and SRV from a table over UDP and TCP, with NXDOMAIN for what it does not have; and it
// can fail or be silent.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { decode, encode, type Answer, type DecodedPacket, type Packet } from 'dns-packet';

export class DnsServer {
  readonly #udp: UdpSocket = createSocket('udp4');
  readonly #tcp: Server;
  /** By `TYPE name`. */
  readonly records: Map<string, Answer[]> = new Map();
  readonly asked: string[] = [];
  /** `NOERROR`: as the table says. */
  mood: 'NOERROR' | 'SERVFAIL' | 'silent' = 'NOERROR';

  constructor() {
    this.#udp.on('message', (message, { address, port }) => {
      const answer = this.#answer(decode(message));
      if (answer === null) return;
      const whole = encode(answer);
      // What does not fit is to be asked for over TCP.
      this.#udp.send(whole.length > 512 ? encode({ ...answer, answers: [], flags: (answer.flags ?? 0) | 0x200 }) : whole, port, address);
    });
    this.#tcp = createServer((socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', (bytes) => {
        const answer = this.#answer(decode(bytes.subarray(2)));
        if (answer === null) return;
        const whole = encode(answer);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(whole.length);
        socket.write(Buffer.concat([length, whole]));
      });
    });
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#tcp.listen(0, '127.0.0.1', resolve));
    await new Promise<void>((resolve) => this.#udp.bind(this.port, '127.0.0.1', resolve));
  }

  get port(): number {
    return (this.#tcp.address() as AddressInfo).port;
  }

  /** Addresses of a name, all with one time to live. */
  addresses(name: string, ips: readonly string[], ttl: number): void {
    this.records.set(
      `A ${name}`,
      ips.filter((ip) => !ip.includes(':')).map((data) => ({ type: 'A', name, ttl, data })),
    );
    this.records.set(
      `AAAA ${name}`,
      ips.filter((ip) => ip.includes(':')).map((data) => ({ type: 'AAAA', name, ttl, data })),
    );
  }

  async close(): Promise<void> {
    this.#udp.close();
    await new Promise((resolve) => this.#tcp.close(resolve));
  }

  #answer({ id, questions = [] }: DecodedPacket): Packet | null {
    if (this.mood === 'silent') return null;
    const [question] = questions;
    const key = `${question.type} ${question.name}`;
    this.asked.push(key);
    const answers = this.records.get(key) ?? [];
    const known = [...this.records.keys()].some((other) => other.endsWith(` ${question.name}`));
    const code = this.mood === 'SERVFAIL' ? 2 : known ? 0 : 3;
    // 0x8580: an authoritative answer, recursion asked for and had.
    return { type: 'response', id: id ?? 0, flags: 0x8580 | code, questions, answers: code === 0 ? answers : [] };
  }
}
