// A link as its session sees it, where the session stands, and the frames that are handed on as they came.
import type { ClientFrame, Codec } from '../../protocol/frames.ts';
import type { Packed, Packer } from '../hub/follower.ts';

/** One link as its session sees it: a WebSocket, or a virtual one. */
export interface SessionLink {
  readonly codec: Codec;
  readonly packer: Packer;
  write(packed: Packed): void;
  close(code: number, reason: string): void;
  /** Bytes that wait to be sent. */
  buffered(): number;
  /** Stops reading from the client; `release` goes on. */
  hold(): void;
  release(): void;
}

export type SessionStage =
  /** Waits for hello. */
  | 'greeting'
  | 'open'
  /** A newer link has the session: it still gets what it follows until it closes, and may not write. */
  | 'retired'
  | 'closed';

export type Hello = ClientFrame & { readonly type: 'hello' };
export type RequestFrame = ClientFrame & { readonly type: 'request' };
