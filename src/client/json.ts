// Frames as JSON text, as a page needs them: small to download. A node's codec, which trusts nobody, is src/protocol/json.ts; both
// are held against each other by a test.
import { subprotocols, type ClientFrame, type Codec, type Payload, type ServerFrame } from '../protocol/frames.ts';

/** The half of a codec that a client needs. */
export type ClientCodec = Pick<Codec, 'subprotocol' | 'decodeServer'> & { encode(frames: readonly ClientFrame[]): string | Uint8Array };

/** What the client uses of each frame and cannot do without. */
const needs: Readonly<Record<ServerFrame['type'], string>> = {
  welcome: 'session client node pingMs deadMs spreadMs messageBytes numbers',
  subscribed: 'topic position',
  unsubscribed: 'topic code message',
  publication: 'topic epoch offset payload',
  gap: 'topic position',
  ack: 'topic number',
  expected: 'topic number',
  refused: 'topic number code message',
  reply: 'number code message',
  present: 'topic members',
  move: 'url ticket',
  spread: 'ms',
  resync: 'number',
  ping: 'at',
  pong: 'at',
};

const hasAll = (of: unknown, keys: string): boolean => keys.split(' ').every((key) => isRight(key, (of as Record<string, unknown>)[key]));

/** May throw where something else is expected. */
function isRight(key: string, value: unknown): boolean {
  if (/^(at|code|number|offset)$|ms$|bytes$/i.test(key)) return Number.isSafeInteger(value);
  if (key === 'payload') return value !== undefined;
  if (key === 'members') return Array.isArray(value);
  if (key === 'numbers') return (value as unknown[]).every((one) => hasAll(one, 'topic number'));
  if (key === 'position') return hasAll(value, 'epoch offset');
  return typeof value === 'string';
}

function encodeFrame(frame: ClientFrame): string {
  if (!('payload' in frame)) return JSON.stringify(frame);
  const { payload, ...rest } = frame;
  const text = 'json' in payload ? `"data":${payload.json}` : `"bytes":"${btoa(Array.from(payload.bytes, (byte) => String.fromCharCode(byte)).join(''))}"`;
  return `${JSON.stringify(rest).slice(0, -1)},${text}}`;
}

type Read = { type: string; data?: unknown; bytes?: string; payload?: Payload | undefined } & Record<string, unknown>;

/** The payload where the frames have it. */
function read({ data, bytes, ...frame }: Read): Read {
  if (bytes !== undefined) frame.payload = { bytes: Uint8Array.from(atob(bytes), (char) => char.charCodeAt(0)) };
  else if (data !== undefined) frame.payload = { json: JSON.stringify(data) };
  return frame;
}

export const compactJsonCodec: ClientCodec = {
  subprotocol: subprotocols.json,
  encode: (frames) => `[${frames.map(encodeFrame).join(',')}]`,
  decodeServer: (message) => {
    try {
      const frames = [JSON.parse(message as string) as Read | Read[]].flat().map(read);
      // Types of later versions are left out.
      const known = frames.filter(({ type }) => Object.hasOwn(needs, type));
      return known.every((frame) => hasAll(frame, needs[frame.type as ServerFrame['type']])) ? (known as unknown as ServerFrame[]) : null;
    } catch {
      return null;
    }
  },
};
