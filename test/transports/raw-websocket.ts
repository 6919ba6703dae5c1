// A WebSocket client by hand, for what a well-behaved client would never do. It answers pings and the Close unless told
// not to.
import { connect, type Socket } from 'node:net';

export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export const handshake: string = [
  'GET / HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  '\r\n',
].join('\r\n');

export interface RawOptions {
  readonly answersClose?: boolean;
  readonly answersPings?: boolean;
}

/** A frame of a client, masked with zeroes. */
export function frame(opcode: number, payload: Buffer | string): Buffer {
  const body = Buffer.from(payload);
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | body.length, 0, 0, 0, 0]), body]);
}

export class RawClient {
  readonly socket: Socket;
  /** Bytes of the messages that came before the Close. */
  received = 0;
  pings = 0;
  /** The code of the server's Close. */
  closeCode: number | null = null;
  closeReason = '';
  readonly #options: RawOptions;
  #buffer: Buffer = Buffer.alloc(0);
  /** Bytes of the message that are still to come. */
  #left = 0;

  private constructor(socket: Socket, options: RawOptions) {
    this.socket = socket;
    this.#options = options;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => socket.destroy());
  }

  static open(port: number, options: RawOptions = {}): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(handshake));
      socket.once('error', reject);
      socket.once('data', (head: Buffer) => {
        const end = head.indexOf('\r\n\r\n');
        if (end < 0 || !head.toString('latin1').startsWith('HTTP/1.1 101')) return reject(new Error(head.toString('latin1')));
        const client = new RawClient(socket, options);
        client.#read(head.subarray(end + 4));
        resolve(client);
      });
    });
  }

  send(text: string): void {
    this.socket.write(frame(Opcode.text, text));
  }

  #read(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    while (this.#frame());
  }

  #frame(): boolean {
    const buffer = this.#buffer;
    if (this.#left > 0) return this.#count(0);
    if (buffer.length < 2) return false;
    const kind = buffer[1];
    const start = kind === 127 ? 10 : kind === 126 ? 4 : 2;
    if (buffer.length < start) return false;
    const length = kind === 127 ? Number(buffer.readBigUInt64BE(2)) : kind === 126 ? buffer.readUInt16BE(2) : kind;
    const opcode = buffer[0] & 0x0f;
    if (opcode < Opcode.close) {
      this.#left = length;
      return this.#count(start);
    }
    if (buffer.length < start + length) return false;
    this.#buffer = buffer.subarray(start + length);
    this.#take(opcode, buffer.subarray(start, start + length));
    return true;
  }

  /** Messages are counted, not kept. */
  #count(start: number): boolean {
    const bytes = Math.min(this.#left, this.#buffer.length - start);
    this.#left -= bytes;
    if (this.closeCode === null) this.received += bytes;
    this.#buffer = this.#buffer.subarray(start + bytes);
    return this.#buffer.length > 0;
  }

  #take(opcode: number, payload: Buffer): void {
    if (opcode === Opcode.close) {
      this.closeCode = payload.readUInt16BE(0);
      this.closeReason = payload.subarray(2).toString();
      if (this.#options.answersClose !== false) this.socket.end(frame(Opcode.close, payload.subarray(0, 2)));
    } else if (opcode === Opcode.ping) {
      this.pings++;
      if (this.#options.answersPings !== false) this.socket.write(frame(Opcode.pong, payload));
    } else if (this.closeCode === null) {
      this.received += payload.length;
    }
  }
}
