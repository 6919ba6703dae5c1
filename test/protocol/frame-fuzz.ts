// Feeds both codecs with mutations of valid messages and with noise: a decode never throws, and what it lets in is what every
// client can be told of, in both forms.
import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { below, seeded, type Random } from '../../src/core/random.ts';
import type { ClientFrame, Codec, ServerFrame } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { protoCodec } from '../../src/protocol/proto.ts';
import { anyClientMessage, anyServerMessage } from './arbitrary-frames.ts';

type Message = string | Uint8Array;

export interface Fuzzed {
  /** Messages tried, and how many of them were taken from a client and from a node. */
  readonly tried: number;
  readonly fromClient: number;
  readonly fromNode: number;
}

/** Throws with the seed and the message where a codec does what it must not. Ends after so many messages, or when `isOver`. */
export function fuzzFrames(codec: Codec, seed: number, messages: number, isOver: () => boolean = () => false): Fuzzed {
  const random = seeded(seed);
  const samples = [
    ...fc.sample(anyClientMessage, { numRuns: 400, seed }).map((frames) => codec.encode(frames)),
    ...fc.sample(anyServerMessage, { numRuns: 400, seed }).map((frames) => codec.encode(frames)),
  ].filter(({ length }) => length < 3_000);
  let [tried, fromClient, fromNode] = [0, 0, 0];
  while (tried < messages && !(tried % 1_000 === 0 && isOver())) {
    const message = codec.binary ? mutatedBytes(samples as Uint8Array[], random) : mutatedText(samples as string[], random);
    try {
      if (isTakenFromClient(codec, message)) fromClient++;
      if (isTakenFromNode(codec, message)) fromNode++;
    } catch (error) {
      const shown = typeof message === 'string' ? JSON.stringify(message) : Buffer.from(message).toString('hex');
      throw new Error(`${codec.subprotocol}, seed ${seed}, message ${tried}: ${shown}`, { cause: error });
    }
    tried++;
  }
  return { tried, fromClient, fromNode };
}

/** What a node lets in it can write again in both forms, and both mean the same: no payload ends early, no name changes. */
function isTakenFromClient(codec: Codec, message: Message): boolean {
  const frames = codec.decodeClient(message);
  if (frames === null) return false;
  const asJson = jsonCodec.decodeClient(jsonCodec.encode(frames));
  assert.deepEqual(asJson, frames.map(compact));
  assert.deepEqual(protoCodec.decodeClient(protoCodec.encode(frames)), frames);
  return frames.length > 0;
}

function isTakenFromNode(codec: Codec, message: Message): boolean {
  const frames = codec.decodeServer(message);
  if (frames === null) return false;
  // A node's JSON is not read again by the binary form, and may be anything after a mutation.
  assert.deepEqual(codec.decodeServer(codec.encode(frames)), frames);
  return frames.length > 0;
}

/** The binary form passes JSON on as it is; the other one writes it anew. */
function compact<F extends ClientFrame | ServerFrame>(frame: F): F {
  if (!('payload' in frame) || frame.payload === undefined || !('json' in frame.payload)) return frame;
  return { ...frame, payload: { json: JSON.stringify(JSON.parse(frame.payload.json)) } };
}

const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)];

const MOST_CHANGES = 2;

function mutatedBytes(samples: readonly Uint8Array[], random: Random): Uint8Array {
  if (random.next() < 0.1) return noise(random, 40);
  let bytes: Uint8Array = pick(random, samples).slice();
  for (let changes = 1 + below(random, MOST_CHANGES); changes > 0; changes--) {
    const at = below(random, bytes.length + 1);
    const to = at + below(random, Math.min(12, bytes.length - at + 1));
    const cut = (...between: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat([bytes.subarray(0, at), ...between, bytes.subarray(to)]));
    const change = below(random, 6);
    if (change === 0) bytes[at] ^= 1 << below(random, 8);
    else if (change === 1) bytes[at] = pick(random, [0, 1, 0x7f, 0x80, 0xff, 0xed, 0x0b]);
    else if (change === 2) bytes = cut();
    else if (change === 3) bytes = cut(noise(random, 8));
    else if (change === 4) bytes = cut(bytes.subarray(at, to), bytes.subarray(at, to));
    else bytes = cut(pick(random, samples).slice(below(random, 20)));
  }
  return bytes;
}

function noise(random: Random, most: number): Uint8Array {
  return Uint8Array.from({ length: below(random, most + 1) }, () => below(random, 256));
}

/** What JSON is made of, and what it must not be made of. */
const tokens: readonly string[] = [
  ...'{}[]":,\\ \n\0\ufeff\u2028='.split(''),
  ...'\\ud800 \\u0000 null true NaN - -1 -0 0.5 1e999 9007199254740993 1e3 "" [] {} AA== "constructor" "ping"'.split(' '),
  ...'"__proto__": "type": "data":1, "bytes":"", "topic":"t", "at":1, "after":{} "history":0'.split(' '),
  // Halves of a pair, each alone.
  '\ud800',
  '\udc00',
];

function mutatedText(samples: readonly string[], random: Random): string {
  if (random.next() < 0.1) return Array.from({ length: below(random, 12) }, () => pick(random, tokens)).join('');
  let text = pick(random, samples);
  for (let changes = 1 + below(random, MOST_CHANGES); changes > 0; changes--) {
    const at = below(random, text.length + 1);
    const to = at + below(random, 12);
    const cut = (between: string): string => text.slice(0, at) + between + text.slice(to);
    const change = below(random, 5);
    if (change === 0) text = cut('');
    else if (change === 1) text = text.slice(0, at) + pick(random, tokens) + text.slice(at);
    else if (change === 2) text = cut(pick(random, tokens));
    else if (change === 3) text = cut(text.slice(at, to).repeat(2));
    else text = cut(pick(random, samples).slice(below(random, 20)));
  }
  return text;
}
