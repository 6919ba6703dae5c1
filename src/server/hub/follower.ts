// Who follows a stream on this node: a link with a codec, or the application. The stream knows nothing else of it.
import type { Entry } from '../../engine/streams.ts';
import type { Position, ServerFrame } from '../../protocol/frames.ts';

/** Frames as they go onto a link, made once for all links of one kind. */
export type Packed = Uint8Array;

/** One per kind of link (codec and framing). */
export interface Packer {
  pack(frames: readonly ServerFrame[]): Packed;
}

export interface Follower {
  readonly packer: Packer;
  /** False while more waits for the client than it may: it gets nothing until it asks to go on. */
  ready(): boolean;
  /** It was live and did not keep up: from here on it is brought up from the history, unless it ends its link. */
  overrun(): void;
  /** Entries, in order, without holes. */
  write(packed: Packed): void;
  /** `subscribed`, `gap` or `unsubscribed` on a topic. */
  tell(frame: ServerFrame): void;
}

/** Frames of entries, as followers of `topic` see them. */
export function publications(topic: string, entries: readonly Entry[]): ServerFrame[] {
  return entries.map(({ epoch, offset, data }) => ({ type: 'publication', topic, epoch, offset, payload: payloadIn(data) }));
}

/** How payloads are written into a stream: their JSON text after a `j`, bytes as base64 after a `b`. */
export function dataOf(payload: { readonly json: string } | { readonly bytes: Uint8Array }): string {
  return 'json' in payload
    ? `j${payload.json}`
    : `b${Buffer.from(payload.bytes.buffer, payload.bytes.byteOffset, payload.bytes.byteLength).toString('base64')}`;
}

export function payloadIn(data: string): { readonly json: string } | { readonly bytes: Uint8Array } {
  return data.charCodeAt(0) === BYTES ? { bytes: Buffer.from(data.slice(1), 'base64') } : { json: data.slice(1) };
}

const BYTES = 'b'.charCodeAt(0);

/** Whether what follows `position` may come next after `entry`. */
export const follows = (position: Position, entry: Entry): boolean => entry.offset === position.offset + 1 && entry.epoch === position.epoch;
