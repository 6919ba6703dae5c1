// A session's link over a WebSocket: whole WebSocket frames are made once for all links with the same codec and written
// straight to the socket, because one write per message instead of two is what a fan-out costs.
import type { FrameSocket } from '../../connections/transports/frame-socket.ts';
import { messageFrame } from '../../connections/transports/websocket-frames.ts';
import type { Codec } from '../../protocol/frames.ts';
import type { Packed, Packer } from '../hub/follower.ts';
import type { SessionLink } from './link.ts';

export const webSocketPacker = (codec: Codec): Packer => ({ pack: (frames) => messageFrame(codec.encode(frames)) });

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
