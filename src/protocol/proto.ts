// Frames in the protobuf wire format, as `evenkeel.proto` declares them. A small writer and reader of our own, driven by the
// shapes of the frames: browsers load it, and it needs five kinds of field out of protobuf's twenty.
import { assert } from '../core/errors.ts';
import { frameLimits, subprotocols, type ClientFrame, type Codec, type Payload, type ServerFrame } from './frames.ts';
import { clientTypes, isTooDeep, must, mustBeShort, scalar, serverTypes, shapes, type Field, type Shape } from './schema.ts';

type Values = Record<string, unknown>;

/** Wire types. 1, 5 (fixed size) are only skipped; 3, 4 (groups) are not taken. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** The only field of `Message`. */
const FRAMES = 1;

const types = [...shapes.keys()] as string[];
const numberOf = new Map(types.map((type, i) => [type, i + 1]));

const utf8 = new TextEncoder();
/** A byte order mark is a character like any other. */
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Shorter text is written by hand, as long as it is ASCII: calling into the engine takes longer. */
const SHORT = 256;
/** The same for what is read, where each character makes the string a longer chain that has to be joined. */
const SHORT_READ = 12;
/** Messages are views of a shared slab, as memory of their own would take longer than writing them. A large one is copied out. */
const SLAB_BYTES = 8_192;
/** Less than this is not begun with. */
const LEAST_BYTES = 512;

let slab: Uint8Array = new Uint8Array(SLAB_BYTES);
let at = 0;

function makeRoom(bytes: number): void {
  if (at + bytes <= slab.length) return;
  const grown = new Uint8Array(Math.max(slab.length * 2, at + bytes));
  grown.set(slab);
  slab = grown;
}

function writeVarint(value: number): void {
  // An if, so that no message is made where nothing is wrong.
  if (!Number.isSafeInteger(value) || value < 0) assert(false, `a number of a frame is whole, 0 to 2^53-1; got ${value}`);
  makeRoom(8);
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) slab[at++] = (rest % 128) | 0x80;
  slab[at++] = rest;
}

const writeTag = (number: number, wire: number): void => writeVarint(number * 8 + wire);

/** What `write` writes, after its length: one byte is left for it, and what was written moves on where that is too few. */
function writeSized(write: () => void): void {
  makeRoom(1);
  const begin = ++at;
  write();
  const end = at;
  const size = end - begin;
  at = begin - 1;
  if (size > 0x7f) {
    let more = 0;
    for (let rest = size; rest > 0x7f; rest = Math.floor(rest / 128)) more++;
    at = end;
    makeRoom(more);
    slab.copyWithin(begin + more, begin, end);
    at = begin - 1;
  }
  writeVarint(size);
  at += size;
}

function writeText(text: string): void {
  if (text.length <= SHORT) {
    const before = at;
    writeVarint(text.length);
    makeRoom(text.length);
    const bytes = slab;
    const begin = at;
    let i = 0;
    for (; i < text.length; i++) {
      const char = text.charCodeAt(i);
      if (char > 0x7f) break;
      bytes[begin + i] = char;
    }
    at = begin + i;
    if (i === text.length) return;
    at = before;
  }
  writeSized(() => {
    makeRoom(text.length * 3);
    at += utf8.encodeInto(text, slab.subarray(at)).written;
  });
}

function writePayload(payload: Payload, number: number): void {
  if ('json' in payload) {
    writeTag(number, BYTES);
    writeText(payload.json);
  } else {
    writeTag(number + 1, BYTES);
    writeVarint(payload.bytes.length);
    makeRoom(payload.bytes.length);
    slab.set(payload.bytes, at);
    at += payload.bytes.length;
  }
}

function writeShape(values: object, { fields }: Shape): void {
  for (const { name, number, kind, isList } of fields) {
    const value = (values as Values)[name];
    if (value === undefined || value === null) continue;
    if (kind === 'payload') writePayload(value as Payload, number);
    else if (kind === 'number' || kind === 'flag') {
      writeTag(number, VARINT);
      writeVarint(Number(value));
    } else if (typeof kind === 'string') {
      writeTag(number, BYTES);
      writeText(value as string);
    } else {
      for (const one of (isList ? value : [value]) as object[]) {
        writeTag(number, BYTES);
        writeSized(() => writeShape(one, kind));
      }
    }
  }
}

function encode(frames: readonly (ClientFrame | ServerFrame)[]): Uint8Array {
  if (slab.length - at < LEAST_BYTES || slab.length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    at = 0;
  }
  const begin = at;
  for (const frame of frames) {
    const shape = shapes.get(frame.type);
    assert(shape !== undefined, 'a frame has a type that the protocol knows');
    writeTag(FRAMES, BYTES);
    writeSized(() => {
      writeTag(numberOf.get(frame.type) ?? 0, BYTES);
      writeSized(() => writeShape(frame, shape));
    });
  }
  return slab.length > SLAB_BYTES ? slab.slice(begin, at) : slab.subarray(begin, at);
}

/** Reads one message or one submessage: the bytes up to `end`. */
class Reader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  #at: number;

  constructor(bytes: Uint8Array, begin = 0, end: number = bytes.length) {
    this.#bytes = bytes;
    this.#at = begin;
    this.#end = end;
  }

  get isDone(): boolean {
    return this.#at >= this.#end;
  }

  /** Up to ten bytes, as protobuf allows; exact up to 2^53-1. */
  #varint(): number {
    let value = 0;
    for (let scale = 1, count = 0; count < 10; scale *= 128, count++) {
      must(this.#at < this.#end);
      const byte = this.#bytes[this.#at++];
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
    return Number.NaN;
  }

  /** Number and wire type of the next field. */
  tag(): { readonly number: number; readonly wire: number } {
    const tag = this.#varint();
    must(tag >= 8 && tag < 2 ** 32);
    return { number: Math.floor(tag / 8), wire: tag % 8 };
  }

  number(): number {
    const value = this.#varint();
    must(value <= Number.MAX_SAFE_INTEGER);
    return value;
  }

  #take(size: number): number {
    must(size <= this.#end - this.#at);
    this.#at += size;
    return this.#at - size;
  }

  message(): Reader {
    const begin = this.#take(this.number());
    return new Reader(this.#bytes, begin, this.#at);
  }

  /** A copy: what arrived may be a view of a buffer that is used again. */
  bytes(): Uint8Array {
    const begin = this.#take(this.number());
    return new Uint8Array(this.#bytes.subarray(begin, this.#at));
  }

  text(): string {
    const begin = this.#take(this.number());
    const bytes = this.#bytes;
    const end = this.#at;
    if (end - begin <= SHORT_READ) {
      let text = '';
      let i = begin;
      for (; i < end && bytes[i] < 0x80; i++) text += String.fromCharCode(bytes[i]);
      if (i === end) return text;
    }
    return strict.decode(bytes.subarray(begin, end));
  }

  skip(wire: number): void {
    if (wire === VARINT) must(!Number.isNaN(this.#varint()));
    else if (wire === BYTES) this.#take(this.number());
    else if (wire === FIXED32) this.#take(4);
    else {
      must(wire === FIXED64);
      this.#take(8);
    }
  }
}

function readJson(reader: Reader, isTrusted: boolean): Payload {
  const json = reader.text();
  if (!isTrusted) {
    // The text is put into other clients' messages as it is: it must not end early and begin a frame of its own.
    JSON.parse(json);
    must(!isTooDeep(json));
  }
  return { json };
}

function readField(reader: Reader, { kind, number }: Field, found: number, isTrusted: boolean): unknown {
  if (kind === 'payload') return found === number ? readJson(reader, isTrusted) : { bytes: reader.bytes() };
  if (kind === 'number') return reader.number();
  if (kind === 'flag') return reader.number() !== 0;
  if (typeof kind === 'string') return scalar(kind, reader.text(), isTrusted);
  return readShape(reader.message(), kind, isTrusted);
}

/** What a field is that was left out: protobuf leaves out zeros, empty text and empty lists. */
function absent({ kind, isList }: Field, isTrusted: boolean): unknown {
  if (isList) return [];
  if (kind === 'number') return 0;
  if (kind === 'flag') return false;
  if (kind === 'user') return null;
  must(typeof kind === 'string' && kind !== 'payload');
  return scalar(kind, '', isTrusted);
}

const fieldsByNumber = new Map<Shape, ReadonlyMap<number, Field>>();

function byNumberOf(shape: Shape): ReadonlyMap<number, Field> {
  const known = fieldsByNumber.get(shape);
  if (known !== undefined) return known;
  const numbers = shape.fields.flatMap((field): [number, Field][] =>
    field.kind === 'payload'
      ? [
          [field.number, field],
          [field.number + 1, field],
        ]
      : [[field.number, field]],
  );
  const made = new Map(numbers);
  fieldsByNumber.set(shape, made);
  return made;
}

function readShape(reader: Reader, shape: Shape, isTrusted: boolean, into: Values = {}): Values {
  const { fields, isChoice } = shape;
  const byNumber = byNumberOf(shape);
  let chosen: string | undefined;
  while (!reader.isDone) {
    const { number, wire } = reader.tag();
    const field = byNumber.get(number);
    if (field === undefined) {
      reader.skip(wire);
      continue;
    }
    const { name, kind, isList } = field;
    must(wire === (kind === 'number' || kind === 'flag' ? VARINT : BYTES));
    const value = readField(reader, field, number, isTrusted);
    if (isList) {
      const list = (into[name] ??= []) as unknown[];
      list.push(value);
      mustBeShort(list.length, isTrusted);
    } else {
      // Of a choice, and of a field that comes twice, the last one counts.
      if (isChoice && chosen !== undefined) delete into[chosen];
      into[name] = value;
      chosen = name;
    }
  }
  must(!isChoice || chosen !== undefined);
  for (const field of fields) if (into[field.name] === undefined && !field.isOptional) into[field.name] = absent(field, isTrusted);
  return into;
}

/** One frame; null for a kind that is not known. Of several kinds in one frame the last one counts. */
function readFrame(reader: Reader, allowed: ReadonlySet<unknown>, isTrusted: boolean): Values | null {
  let frame: Values | null = null;
  while (!reader.isDone) {
    const { number, wire } = reader.tag();
    const type = types[number - 1];
    const shape = allowed.has(type) ? shapes.get(type) : undefined;
    if (shape === undefined) {
      reader.skip(wire);
    } else {
      must(wire === BYTES);
      frame = readShape(reader.message(), shape, isTrusted, { type });
    }
  }
  return frame;
}

function decode(message: string | Uint8Array, allowed: ReadonlySet<unknown>, isTrusted: boolean): Values[] | null {
  if (typeof message === 'string') return null;
  try {
    const reader = new Reader(message);
    const frames: Values[] = [];
    let count = 0;
    while (!reader.isDone) {
      const { number, wire } = reader.tag();
      if (number !== FRAMES) {
        reader.skip(wire);
        continue;
      }
      must(wire === BYTES && (isTrusted || ++count <= frameLimits.framesPerMessage));
      const frame = readFrame(reader.message(), allowed, isTrusted);
      must(isTrusted || frame !== null);
      if (frame !== null) frames.push(frame);
    }
    return frames;
  } catch {
    return null;
  }
}

export const protoCodec: Codec = {
  subprotocol: subprotocols.proto,
  binary: true,
  encode,
  decodeClient: (message) => decode(message, clientTypes, false) as readonly ClientFrame[] | null,
  decodeServer: (message) => decode(message, serverTypes, true) as readonly ServerFrame[] | null,
};
