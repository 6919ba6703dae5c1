// A session's link over a WebSocket: whole WebSocket frames are made once for all links with the same codec and written
// straight to the socket, because one write per message instead of two is what a fan-out costs.
import type { FrameSocket } from '../../connections/transports/frame-socket.ts';
import type { Codec, ServerFrame } from '../../protocol/frames.ts';
import type { Packed, Packer } from '../hub/follower.ts';
import type { SessionLink } from './link.ts';

/** A message of a server as one unmasked WebSocket frame (RFC 6455, section 5.2). */
export function webSocketPacker(codec: Codec): Packer {
  const first = codec.binary ? 0x82 : 0x81;
  return {
    pack(frames: readonly ServerFrame[]): Packed {
      const message = codec.encode(frames);
      const length = typeof message === 'string' ? Buffer.byteLength(message) : message.length;
      const head = length < 126 ? 2 : length < 65_536 ? 4 : 10;
      const packed = Buffer.allocUnsafe(head + length);
      packed[0] = first;
      if (head === 2) packed[1] = length;
      else if (head === 4) {
        packed[1] = 126;
        packed.writeUInt16BE(length, 2);
      } else {
        packed[1] = 127;
        packed.writeBigUInt64BE(BigInt(length), 2);
      }
      if (typeof message === 'string') packed.write(message, head);
      else packed.set(message, head);
      return packed;
    },
  };
}

export class WebSocketLink implements SessionLink {
  readonly codec: Codec;
  readonly packer: Packer;
  readonly #ws: FrameSocket<unknown>;

  constructor(ws: FrameSocket<unknown>, kind: { readonly codec: Codec; readonly packer: Packer }) {
    this.#ws = ws;
    this.codec = kind.codec;
    this.packer = kind.packer;
  }

  /** Nothing may follow a Close. */
  write(packed: Packed): void {
    if (this.#ws.readyState === this.#ws.OPEN) this.#ws.socket.write(packed);
  }

  close(code: number, reason: string): void {
    this.#ws.close(code, reason);
  }

  buffered(): number {
    return this.#ws.socket.writableLength;
  }

  hold(): void {
    this.#ws.pause();
  }

  release(): void {
    this.#ws.resume();
  }
}
