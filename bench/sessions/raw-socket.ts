// A WebSocket client that does next to nothing, so that the server is what is measured: it has one mask, reads whole frames where
// it must, and else hands on what the network brought.
import { connect, type Socket } from 'node:net';

const MASKED = 0x80;
/** The first opcode that is no message. */
const CONTROL = 8;

/** One for all: a mask of zero would spare `ws` the work that every real client makes. */
const MASK = [0x37, 0xfa, 0x21, 0x3d];

/** What any of the sockets brings, until it has been looked at: memory for each read would cost more than all else that they do. */
const READ = Buffer.allocUnsafeSlow(65_536);

/** A message as one frame of a client. */
export function frameOf(message: string | Uint8Array): Buffer {
  const length = typeof message === 'string' ? Buffer.byteLength(message) : message.length;
  const head = length < 126 ? 6 : 8;
  const frame = Buffer.allocUnsafe(head + length);
  frame[0] = typeof message === 'string' ? 0x81 : 0x82;
  if (head === 6) frame[1] = MASKED | length;
  else {
    frame[1] = MASKED | 126;
    frame.writeUInt16BE(length, 2);
  }
  if (typeof message === 'string') frame.write(message, head);
  else frame.set(message, head);
  frame.set(MASK, head - 4);
  for (let i = 0; i < length; i++) frame[head + i] ^= MASK[i & 3];
  return frame;
}

export class RawSocket {
  readonly socket: Socket;
  /** Called for each whole frame until `onBytes` is set. The message is lent for the call. */
  onMessage: (message: Buffer) => void = () => {};
  /** Takes all that comes, frames or not; lent as well. */
  onBytes: ((bytes: Buffer) => void) | null = null;
  #rest: Buffer | null = null;

  private constructor(socket: Socket) {
    this.socket = socket;
  }

  /** Resolves after the handshake. */
  static open(port: number, path: string, subprotocol: string | null): Promise<RawSocket> {
    return new Promise((resolve, reject) => {
      let take: (bytes: Buffer) => void;
      const callback = (length: number): boolean => {
        take(READ.subarray(0, length));
        return true;
      };
      const socket = connect({ host: '127.0.0.1', port, noDelay: true, onread: { buffer: READ, callback } });
      const raw = new RawSocket(socket);
      const offer = subprotocol === null ? '' : `Sec-WebSocket-Protocol: ${subprotocol}\r\n`;
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${offer}\r\n`,
      );
      let head = Buffer.alloc(0);
      take = (bytes) => {
        head = Buffer.concat([head, bytes]);
        const end = head.indexOf('\r\n\r\n');
        if (end < 0) return;
        if (!head.subarray(0, 12).equals(SWITCHING)) return reject(new Error(`handshake: ${head.subarray(0, end).toString()}`));
        take = (more) => (raw.onBytes === null ? raw.#read(more) : raw.onBytes(more));
        resolve(raw);
        // The caller listens only after this.
        if (head.length > end + 4) setImmediate(() => raw.#read(head.subarray(end + 4)));
      };
      // Nothing comes as data; but its end does.
      socket.resume();
      socket.on('error', reject);
    });
  }

  send(frame: Buffer): void {
    this.socket.write(frame);
  }

  #read(bytes: Buffer): void {
    const all = this.#rest === null ? bytes : Buffer.concat([this.#rest, bytes]);
    this.#rest = null;
    let at = 0;
    while (at < all.length) {
      const head = all[at + 1] < 126 ? 2 : all[at + 1] === 126 ? 4 : 10;
      if (all.length < at + head) break;
      const length = head === 2 ? all[at + 1] : head === 4 ? all.readUInt16BE(at + 2) : Number(all.readBigUInt64BE(at + 2));
      if (all.length < at + head + length) break;
      // Pings may stay unanswered for as long as a benchmark takes.
      if ((all[at] & 0x0f) < CONTROL) this.onMessage(all.subarray(at + head, at + head + length));
      at += head + length;
    }
    if (at < all.length) this.#rest = Buffer.from(all.subarray(at));
  }
}

const SWITCHING = Buffer.from('HTTP/1.1 101');
