// Frames as they come from the network: in pieces of any size, of any length, with other frames in between.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { Opcode } from '../../connections/transports/websocket-frames.ts';
import { seeded } from '../../core/random.ts';
import { closeCodeOf, closeFrame, found, frameAt, frameOf, FrameStream, freshMask, payloadOf } from './frames.ts';

const WHOLE = 1_000;

interface Sent {
  readonly opcode: number;
  readonly size: number;
  readonly fin: boolean;
}

const sizes = fc.oneof(fc.integer({ min: 0, max: 130 }), fc.integer({ min: 0, max: 3_000 }), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000));
const data = fc.record({ opcode: fc.constantFrom<number>(Opcode.text, Opcode.binary, Opcode.continuation), size: sizes, fin: fc.boolean() });
const control = fc.record({ opcode: fc.constantFrom<number>(Opcode.ping, Opcode.pong), size: fc.integer({ min: 0, max: 125 }), fin: fc.constant(true) });
const frames: fc.Arbitrary<Sent[]> = fc.array(fc.oneof(data, data, control), { maxLength: 12 });

function bytesOf({ opcode, size, fin }: Sent, masked: boolean): Buffer {
  const frame = frameOf(opcode, Buffer.alloc(size, 'abc'), masked ? freshMask(seeded(size)) : null);
  if (!fin) frame[0] &= 0x7f;
  return frame;
}

/** Cuts it into pieces, whose sizes repeat. */
function* pieces(bytes: Buffer, cuts: readonly number[]): Generator<Buffer> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = cuts[i % cuts.length];
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

test('however the bytes are cut, all of them are passed on in order, and small frames never in part', () => {
  const cut = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 })), { minLength: 1, maxLength: 6 });
  always(fc.tuple(frames, fc.boolean(), cut, fc.constantFrom(0, WHOLE)), ([sent, masked, cuts, whole]) => {
    const parts = sent.map((one) => bytesOf(one, masked));
    const all = Buffer.concat(parts);
    // Where a cut may be felt: nowhere within what is small, or a control frame, or a header.
    const ends = new Set<number>([0]);
    let at = 0;
    for (const [i, part] of parts.entries()) {
      const { payloadAt } = frameAt(part, 0);
      if (part.length > whole && sent[i].opcode < Opcode.close) for (let inside = payloadAt; inside <= part.length; inside++) ends.add(at + inside);
      at += part.length;
      ends.add(at);
    }
    const stream = new FrameStream();
    const passed: Buffer[] = [];
    let count = 0;
    for (const piece of pieces(all, cuts)) {
      const joined = stream.join(piece);
      const end = stream.advance(joined, whole);
      assert.equal(found.what, 'nothing');
      if (end < joined.length) stream.hold(joined, end);
      passed.push(joined.subarray(0, end));
      count += end;
      assert.ok(ends.has(count), `cut at ${count}`);
    }
    assert.ok(Buffer.concat(passed).equals(all));
    assert.equal(stream.held, null);
    const last = sent.findLast(({ opcode }) => opcode < Opcode.close);
    assert.equal(stream.midMessage, last !== undefined && !last.fin);
  });
});

test('a Close is found whole, with what comes before it, and nothing after it counts', () => {
  always(fc.tuple(frames, fc.integer({ min: 1_000, max: 4_999 }), fc.string({ maxLength: 20 })), ([sent, code, reason]) => {
    const before = Buffer.concat(sent.map((one) => bytesOf(one, true)));
    const close = closeFrame(code, reason, freshMask(seeded(code)));
    const all = Buffer.concat([before, close, Buffer.from([0x81, 1, 65])]);
    const stream = new FrameStream();
    const end = stream.advance(all, 0);
    assert.deepEqual({ ...found }, { what: 'close', closeAt: before.length });
    assert.equal(end, before.length + close.length);
    assert.equal(closeCodeOf(all, found.closeAt), code);
  });
});

test('half a Close waits for its other half', () => {
  const close = closeFrame(1_012, 'restart', null);
  const stream = new FrameStream();
  assert.equal(stream.advance(close.subarray(0, 5), 0), 0);
  stream.hold(close.subarray(0, 5), 0);
  assert.equal(found.what, 'nothing');
  assert.equal(stream.isQuiet, false);
  const rest = stream.join(close.subarray(5));
  assert.equal(stream.advance(rest, 0), close.length);
  assert.equal(found.what, 'close');
});

test('what no WebSocket says is found, and nothing is kept for it', () => {
  const cases = [
    // A ping that is too long, one in fragments, and a length beyond all numbers.
    Buffer.from([0x89, 126, 0, 200]),
    Buffer.from([0x09, 0]),
    Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
  ];
  for (const bad of cases) {
    const stream = new FrameStream();
    const good = frameOf(Opcode.text, Buffer.from('hi'), null);
    assert.equal(stream.advance(Buffer.concat([good, bad]), WHOLE), good.length);
    assert.equal(found.what, 'violation');
  }
});

test('frames that are made here are read as they were meant, masked or not', () => {
  always(fc.tuple(sizes, fc.option(fc.integer(), { nil: null })), ([size, seed]) => {
    const payload = Buffer.alloc(size, 'xyz');
    const bytes = frameOf(Opcode.binary, payload, seed === null ? null : freshMask(seeded(seed)));
    const frame = frameAt(bytes, 0);
    assert.deepEqual([frame.opcode, frame.fin, frame.end, frame.mask === null], [Opcode.binary, true, bytes.length, seed === null]);
    assert.ok(payloadOf(bytes, frame).equals(payload));
  });
  assert.equal(closeCodeOf(closeFrame(1_005, '', null), 0), 1_005);
});
