// A session's link over a WebSocket: whole WebSocket frames are made once for all links with the same codec and written
// straight to the socket, because one write per message instead of two is what a fan-out costs.
import type { Socket } from 'node:net';
import { FrameSocket, type FrameRules } from '../../connections/transports/frame-socket.ts';
import { messageFrame } from '../../connections/transports/websocket-frames.ts';
import type { Codec } from '../../protocol/frames.ts';
import type { Packed, Packer } from '../hub/follower.ts';
import type { SessionLink } from './link.ts';
import type { Session } from './session.ts';

export const webSocketPacker = (codec: Codec): Packer => ({ pack: (frames) => messageFrame(codec.encode(frames)) });

export interface LinkKind {
  readonly codec: Codec;
  readonly packer: Packer;
}

/** The WebSocket itself, so that a message to many touches one object less for each of them. */
export class WebSocketLink extends FrameSocket<Session> implements SessionLink {
  readonly #kind: LinkKind;

  constructor(upgraded: { readonly socket: Socket; readonly head: Buffer }, kind: LinkKind, rules: FrameRules<Session>) {
    super(upgraded.socket, upgraded.head, rules);
    this.#kind = kind;
  }

  get codec(): Codec {
    return this.#kind.codec;
  }

  get packer(): Packer {
    return this.#kind.packer;
  }

  /** Nothing may follow a Close. */
  write(packed: Packed): void {
    if (this.readyState === this.OPEN) this.socket.write(packed);
  }

  buffered(): number {
    return this.socket.writableLength;
  }

  hold(): void {
    this.pause();
  }

  release(): void {
    this.resume();
  }
}
