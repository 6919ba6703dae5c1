// Frames as JSON text: one object, or an array of them. A payload is `data`, any JSON, or `bytes`, a string in base64; its text is
// put into a message as it is, so that a node that passes it on never reads it again.
import { frameLimits, subprotocols, type ClientFrame, type Codec, type Payload, type ServerFrame } from './frames.ts';
import { clientTypes, isTooDeep, must, mustBeShort, scalar, serverTypes, shapes, type Field, type Shape } from './schema.ts';

type Json = Record<string, unknown>;

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const letters = new TextEncoder().encode(ALPHABET);
const sextets = new Int8Array(128).fill(-1);
letters.forEach((letter, i) => {
  sextets[letter] = i;
});

// By hand: atob() and btoa() take 70 ms for a megabyte in Node 20, and atob() also takes what is no base64.
function toBase64(bytes: Uint8Array): string {
  const text = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(0x3d);
  let at = 0;
  let bits = 0;
  for (let i = 0; i < bytes.length; i++) {
    bits = (bits << 8) | bytes[i];
    const place = i % 3;
    text[at++] = letters[(bits >> (2 * place + 2)) & 63];
    if (place === 2) text[at++] = letters[bits & 63];
  }
  const left = bytes.length % 3;
  if (left > 0) text[at] = letters[(bits << (6 - 2 * left)) & 63];
  return new TextDecoder().decode(text);
}

function fromBase64(text: unknown): Uint8Array {
  must(typeof text === 'string' && text.length % 4 === 0);
  const length = text.length - (text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0);
  const bytes = new Uint8Array(Math.floor(length * 0.75));
  let at = 0;
  let bits = 0;
  for (let i = 0; i < length; i++) {
    const sextet = sextets[text.charCodeAt(i)];
    must(sextet >= 0);
    bits = (bits << 6) | sextet;
    const place = i % 4;
    if (place > 0) bytes[at++] = bits >> (6 - 2 * place);
  }
  return bytes;
}

function encodeFrame(frame: ClientFrame | ServerFrame): string {
  const payload = 'payload' in frame ? frame.payload : undefined;
  if (payload === undefined) return JSON.stringify(frame);
  const text = 'json' in payload ? `"data":${payload.json}` : `"bytes":"${toBase64(payload.bytes)}"`;
  // Field by field: a copy without the payload would take a third longer.
  let fields = '';
  for (const name in frame) {
    if (name === 'payload') continue;
    const value = (frame as unknown as Json)[name];
    if (value !== undefined) fields += `"${name}":${JSON.stringify(value)},`;
  }
  return `{${fields}${text}}`;
}

function payloadOf({ data, bytes }: Json, field: Field, isTrusted: boolean): Payload | undefined {
  if (data === undefined && bytes === undefined && field.isOptional) return undefined;
  must((data === undefined) !== (bytes === undefined));
  if (data === undefined) return { bytes: fromBase64(bytes) };
  const json = JSON.stringify(data);
  must(isTrusted || !isTooDeep(json));
  return { json };
}

function objectOf(value: unknown): Json {
  must(typeof value === 'object' && value !== null && !Array.isArray(value));
  return value as Json;
}

/** Reads the fields of a shape into an object of our own; whatever else is there is left out. */
function read(value: unknown, { fields, isChoice }: Shape, isTrusted: boolean, into: Json = {}): Json {
  const from = objectOf(value);
  let count = 0;
  for (const field of fields) {
    const { name, kind, isOptional, isList } = field;
    const one = kind === 'payload' ? payloadOf(from, field, isTrusted) : from[name];
    if (one === undefined && isOptional) continue;
    count++;
    if (kind === 'payload') into[name] = one;
    else if (typeof kind === 'string') into[name] = scalar(kind, one, isTrusted);
    else if (isList) {
      must(Array.isArray(one));
      mustBeShort(one.length, isTrusted);
      into[name] = one.map((item) => read(item, kind, isTrusted));
    } else into[name] = read(one, kind, isTrusted);
  }
  must(!isChoice || count === 1);
  return into;
}

function decode(message: string | Uint8Array, types: ReadonlySet<unknown>, isTrusted: boolean): Json[] | null {
  if (typeof message !== 'string') return null;
  try {
    const value: unknown = JSON.parse(message);
    const list: unknown[] = Array.isArray(value) ? value : [value];
    must(isTrusted || list.length <= frameLimits.framesPerMessage);
    const frames: Json[] = [];
    for (const from of list) {
      const { type } = objectOf(from);
      const shape = types.has(type) ? shapes.get(type) : undefined;
      must(typeof type === 'string' && (isTrusted || shape !== undefined));
      if (shape !== undefined) frames.push(read(from, shape, isTrusted, { type }));
    }
    return frames;
  } catch {
    return null;
  }
}

export const jsonCodec: Codec = {
  subprotocol: subprotocols.json,
  binary: false,
  encode: (frames) => (frames.length === 1 ? encodeFrame(frames[0]) : `[${frames.map(encodeFrame).join(',')}]`),
  decodeClient: (message) => decode(message, clientTypes, false) as readonly ClientFrame[] | null,
  decodeServer: (message) => decode(message, serverTypes, true) as readonly ServerFrame[] | null,
};
