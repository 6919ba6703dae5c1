// What frames of clients are held to beyond their shape, and what a message may come to.
import type { Appended } from '../../engine/streams.ts';
import { EVERYBODY, INBOX, presenceTopic, RESERVED, type ClientFrame, type Payload } from '../../protocol/frames.ts';

const PRESENCE = presenceTopic('');

/** Whether every session follows it by itself. */
export const isOwn = (topic: string): boolean => topic === INBOX || topic === EVERYBODY;

/** Names that mean nothing yet. */
export const isReserved = (topic: string): boolean => topic.startsWith(RESERVED) && !isOwn(topic) && !topic.startsWith(PRESENCE);

export function countsFromOne(frame: ClientFrame): boolean {
  if (frame.type === 'lost') return frame.from >= 1 && frame.to >= frame.from;
  return (frame.type !== 'publish' && frame.type !== 'request') || frame.number >= 1;
}

/** By bytes. No UTF-16 unit has more than three: short text need not be counted. */
export function isTooBig(payload: Payload, most: number): boolean {
  if ('bytes' in payload) return payload.bytes.length > most;
  return payload.json.length * 3 > most && Buffer.byteLength(payload.json) > most;
}

/** What is to be done when an append or a skip is settled. */
export interface Outcome {
  readonly appended: Promise<Appended>;
  /** Where it took effect, everything up to this number is taken. */
  readonly upTo: number;
  readonly done: () => void;
  /** A limit of the engine is in the way; it will be tomorrow. */
  readonly limited: (message: string) => void;
}
