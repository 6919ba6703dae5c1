// Reading a client's frames: whatever way they are cut, the messages come out; whatever rule is broken, the client is told by its code.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { always } from '../../../test/property.ts';
import { closeFrame, messageFrame, Opcode, readClose, readFrames, WebSocketCode, type FrameSink } from './websocket-frames.ts';

const MAX = 70_000;

class Heard implements FrameSink {
  unread: FrameSink['unread'] = null;
  fragments: FrameSink['fragments'] = null;
  isDeaf = false;
  readonly maxBytes = MAX;
  readonly messages: (string | Buffer)[] = [];
  readonly controls: string[] = [];
  code: number | null = null;

  heard(message: string | Buffer): void {
    this.messages.push(typeof message === 'string' ? message : Buffer.from(message));
  }

  controlled(opcode: number, payload: Buffer): void {
    this.controls.push(`${opcode} ${payload.toString()}`);
  }

  broke(code: number): void {
    this.isDeaf = true;
    this.code = code;
  }
}

interface Made {
  readonly fin?: boolean;
  readonly opcode: number;
  readonly payload?: Buffer | string;
  readonly mask?: readonly number[] | null;
  readonly reserved?: number;
}

/** A frame as a client makes it. */
function made({ fin = true, opcode, payload = '', mask = [1, 2, 3, 255], reserved = 0 }: Made): Buffer {
  const body = Buffer.from(payload);
  const size = body.length < 126 ? 0 : body.length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + size);
  head[0] = (fin ? 0x80 : 0) | reserved | opcode;
  head[1] = (mask === null ? 0 : 0x80) | (size === 0 ? body.length : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(body.length, 2);
  if (size === 8) head.writeBigUInt64BE(BigInt(body.length), 2);
  if (mask === null) return Buffer.concat([head, body]);
  return Buffer.concat([head, Buffer.from(mask), body.map((byte, i) => byte ^ mask[i % 4])]);
}

function heardOf(...chunks: Buffer[]): Heard {
  const sink = new Heard();
  for (const chunk of chunks) if (!sink.isDeaf) readFrames(sink, Buffer.from(chunk));
  return sink;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].toSorted((a, b) => a - b);
  return places.slice(1).map((end, i) => bytes.subarray(places[i], end));
}

const payload = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ maxLength: 200 }),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('x'.repeat(125), 'y'.repeat(126), 'z'.repeat(65_535), 'ü'.repeat(33_000)),
);
const message = fc.record({ payload, pieces: fc.array(fc.nat(70_000), { maxLength: 4 }), ping: fc.boolean() });
const mask = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255));

test('messages come out as they were put in, however they are cut into frames and the frames into chunks', () => {
  always(fc.tuple(fc.array(message, { maxLength: 6 }), fc.array(fc.nat(200_000), { maxLength: 12 }), mask), ([messages, cuts, key]) => {
    const frames = messages.flatMap(({ payload: body, pieces, ping }) => {
      const parts = cut(Buffer.from(body), pieces);
      if (parts.length === 0) parts.push(Buffer.alloc(0));
      return parts.flatMap((part, i) => {
        const opcode = i > 0 ? Opcode.continuation : typeof body === 'string' ? Opcode.text : Opcode.binary;
        const frame = made({ fin: i === parts.length - 1, opcode, payload: part, mask: key });
        return ping ? [frame, made({ opcode: Opcode.ping, payload: 'p', mask: key })] : [frame];
      });
    });
    const sink = heardOf(...cut(Buffer.concat(frames), cuts));
    assert.equal(sink.code, null);
    assert.deepEqual(
      sink.messages,
      messages.map(({ payload: body }) => body),
    );
    // An idle connection keeps nothing.
    assert.deepEqual([sink.unread, sink.fragments], [null, null]);
  });
});

test('bytes that come one by one are gathered, and each message is handed on with its last byte', () => {
  const bytes = Buffer.concat([made({ opcode: Opcode.text, payload: 'a'.repeat(300) }), made({ opcode: Opcode.binary, payload: 'b' })]);
  const sink = new Heard();
  const counts = Array.from(bytes, (byte) => {
    readFrames(sink, Buffer.from([byte]));
    return sink.messages.length;
  });
  assert.equal(counts.indexOf(1), 307);
  assert.equal(counts.indexOf(2), bytes.length - 1);
});

test('what was handed on is not touched by what comes later', () => {
  const kept: Buffer[] = [];
  const sink = new Heard();
  sink.heard = (bytes) => void kept.push(bytes as Buffer);
  const bytes = Buffer.concat(['one', 'two', 'three'].map((each) => made({ opcode: Opcode.binary, payload: each })));
  for (const chunk of cut(bytes, [4, 12, 20])) readFrames(sink, Buffer.from(chunk));
  assert.deepEqual(
    kept.map((each) => each.toString()),
    ['one', 'two', 'three'],
  );
});

describe('a client that breaks a rule is not heard any more, and told', () => {
  const text = (more: Partial<Made> = {}): Buffer => made({ opcode: Opcode.text, payload: 'x', ...more });
  const { protocol, notUtf8, tooBig, policy } = WebSocketCode;
  const long = Buffer.alloc(6);
  long[0] = 0x82;
  long[1] = 0xfe;
  const huge = Buffer.from([0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
  const cases: Record<string, [number, Buffer[]]> = {
    'no mask': [protocol, [text({ mask: null })]],
    'a reserved bit': [protocol, [text({ reserved: 0x40 })]],
    'an unknown opcode': [protocol, [made({ opcode: 3 })]],
    'an unknown control opcode': [protocol, [made({ opcode: 11 })]],
    'a control frame in pieces': [protocol, [made({ opcode: Opcode.ping, fin: false })]],
    'a long control frame': [protocol, [made({ opcode: Opcode.ping, payload: 'x'.repeat(126) })]],
    'a continuation of nothing': [protocol, [made({ opcode: Opcode.continuation })]],
    'a message within a message': [protocol, [text({ fin: false }), text()]],
    'text that is no UTF-8': [notUtf8, [text({ payload: Buffer.from([0xff]) })]],
    'text cut within a character': [notUtf8, [text({ payload: Buffer.from('ü').subarray(0, 1) })]],
    'a message beyond the limit, by its head alone': [tooBig, [huge]],
    'pieces beyond the limit together': [tooBig, [text({ fin: false, payload: 'x'.repeat(MAX) }), made({ opcode: Opcode.continuation, payload: 'y' })]],
    'endless pieces': [policy, [text({ fin: false }), ...Array.from({ length: 16_384 }, () => made({ opcode: Opcode.continuation, fin: false }))]],
  };
  for (const [name, [code, frames]] of Object.entries(cases)) {
    test(name, () => {
      const sink = heardOf(Buffer.concat([...frames, text({ payload: 'later' })]));
      assert.equal(sink.code, code);
      assert.deepEqual([sink.messages, sink.unread], [[], null]);
    });
  }

  test('nonsense never throws', () => {
    always(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 8 }),
      (chunks) => {
        const sink = heardOf(...chunks.map((chunk) => Buffer.from(chunk)));
        assert.ok(sink.isDeaf || (sink.unread?.length ?? 0) < 480);
      },
      1_000,
    );
  });
});

test('a byte that no UTF-8 has is seen wherever it stands', () => {
  for (let length = 1; length <= 9; length++) {
    for (let at = 0; at < length; at++) {
      const payload = Buffer.alloc(length, 'a').fill(0xff, at, at + 1);
      assert.equal(heardOf(made({ opcode: Opcode.text, payload })).code, WebSocketCode.notUtf8, `byte ${at} of ${length}`);
    }
  }
});

test('a character may be cut between the pieces of a message', () => {
  const bytes = Buffer.from('grün');
  const sink = heardOf(
    made({ opcode: Opcode.text, fin: false, payload: bytes.subarray(0, 3) }),
    made({ opcode: Opcode.continuation, payload: bytes.subarray(3) }),
  );
  assert.deepEqual(sink.messages, ['grün']);
});

test('a Close says its code, or none; codes that may not be sent, half a code and a reason that is no UTF-8 are refused', () => {
  const payloadOf = (code: number, reason = ''): Buffer => closeFrame(code, reason).subarray(2);
  assert.deepEqual(readClose(Buffer.alloc(0)), { code: WebSocketCode.none });
  for (const code of [1000, 1001, 1003, 1012, 1014, 3000, 4999]) assert.deepEqual(readClose(payloadOf(code, 'bye')), { code });
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000]) assert.equal('broke' in readClose(payloadOf(code)), true, `${code}`);
  assert.equal('broke' in readClose(Buffer.from([3])), true);
  const bad = readClose(Buffer.concat([payloadOf(1000), Buffer.from([0xc3])]));
  assert.equal('broke' in bad && bad.broke, WebSocketCode.notUtf8);
});

test('a message of a server says its length in as few bytes as it takes, and whether it is text', () => {
  for (const [length, head] of [
    [0, [0]],
    [125, [125]],
    [126, [126, 0, 126]],
    [65_535, [126, 255, 255]],
    [65_536, [127, 0, 0, 0, 0, 0, 1, 0, 0]],
  ] as const) {
    const bytes = Buffer.alloc(length, 'x');
    assert.deepEqual(messageFrame(bytes), Buffer.concat([Buffer.from([0x82, ...head]), bytes]));
    assert.deepEqual(messageFrame(bytes.toString()), Buffer.concat([Buffer.from([0x81, ...head]), bytes]));
  }
  assert.deepEqual(messageFrame('\u00e9'), Buffer.from([0x81, 2, 0xc3, 0xa9]), 'bytes are counted, not characters');
});
