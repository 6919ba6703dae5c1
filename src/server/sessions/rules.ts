// What frames of clients are held to beyond their shape.
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
