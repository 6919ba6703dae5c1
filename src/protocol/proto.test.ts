// The binary form, byte by byte: what protobuf demands of a reader, and that nothing malformed gets in.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { frameLimits, type ClientFrame } from './frames.ts';
import { jsonCodec } from './json.ts';
import { protoCodec } from './proto.ts';

const bytes = (...parts: (number | string | readonly number[])[]): number[] =>
  parts.flatMap((part) => (typeof part === 'number' ? [part] : typeof part === 'string' ? [...Buffer.from(part)] : [...part]));
const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) | 128, ...varint(Math.floor(value / 128))]);
/** A field with a length: text, bytes or a message. */
const field = (number: number, ...parts: (number | string | readonly number[])[]): number[] => {
  const content = bytes(...parts);
  return bytes(varint(number * 8 + 2), varint(content.length), content);
};
/** A message of one frame, by its number. */
const message = (kind: number, ...fields: (number | string | readonly number[])[]): Uint8Array => Uint8Array.from(field(1, field(kind, ...fields)));
const PRESENCE = 7;
const PING = 8;
const publish = (...payload: readonly number[][]): Uint8Array => message(4, field(1, 't'), [0x10, 1], ...payload);
const subscribe = (...start: readonly number[][]): Uint8Array => message(2, field(1, 't'), field(2, ...start));
const hello = (...fields: readonly number[][]): Uint8Array => message(1, field(2, 'i'), [0x18, 1], ...fields);
const decode = (input: Uint8Array): readonly ClientFrame[] | null => protoCodec.decodeClient(input);

const ping = [{ type: 'ping', at: 1 }];

test('a frame is the bytes that evenkeel.proto says', () => {
  assert.deepEqual(protoCodec.encode([{ type: 'ping', at: 300 }]), message(PING, [0x08, 0xac, 0x02]));
  assert.deepEqual(protoCodec.encode([{ type: 'presence', topic: 'é' }]), message(PRESENCE, field(1, 'é')));
});

test('numbers that cannot be told exactly are not written', () => {
  for (const at of [-1, 0.5, Number.NaN, Infinity, 2 ** 53]) assert.throws(() => protoCodec.encode([{ type: 'ping', at }]), /whole, 0 to 2\^53-1/);
  assert.deepEqual(protoCodec.encode([{ type: 'ping', at: 1 }]), message(PING, [8, 1]), 'and leave nothing behind');
});

test('a message stays as it was when others are written after it, small and large', () => {
  const sizes = [0, 1, 50, 127, 128, 4_000, 9_000, 20_000, 70_000, 3, 500];
  const payload = (length: number): { bytes: Uint8Array } => ({ bytes: new Uint8Array(length).fill(length % 251) });
  const frames = Array.from({ length: 300 }, (_, i) => ({ type: 'publish', topic: 't', number: i, payload: payload(sizes[i % sizes.length]) }) as const);
  const messages = frames.map((frame) => protoCodec.encode([frame]));
  // One at a time, and without a difference to be told: it would be one of megabytes.
  for (const [i, frame] of frames.entries()) assert.ok(isDeepStrictEqual(protoCodec.decodeClient(messages[i]), [frame]), `message ${i}`);
});

test('text of every length around those where its length takes another byte, ASCII and not', () => {
  for (const length of [0, 1, 126, 127, 128, 129, 255, 256, 257, 16_382, 16_383, 16_384, 16_385]) {
    for (const letter of ['a', 'é', '\u{1f600}']) {
      for (const text of [letter.repeat(length), 'a'.repeat(length) + letter, letter + 'a'.repeat(length)]) {
        const frame = { type: 'publish', topic: 't', number: 1, payload: { json: JSON.stringify(text) } } as const;
        assert.deepEqual(decode(protoCodec.encode([frame]) as Uint8Array), [frame]);
      }
    }
  }
});

describe('as protobuf says', () => {
  const unknown: Record<string, number[]> = {
    'a varint': [0xf8, 0x01, 0x80, 0x01],
    'the largest varint': [0xf8, 0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    'eight bytes': [0xf9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8],
    text: [0xfa, 0x01, 2, 0xff, 0xfe],
    'four bytes': [0xfd, 0x01, 1, 2, 3, 4],
  };
  for (const [what, skipped] of Object.entries(unknown)) {
    test(`fields that are not known are skipped: ${what}`, () => {
      assert.deepEqual(decode(Uint8Array.from(bytes(skipped, field(1, skipped, field(PING, skipped, [8, 1], skipped), skipped), skipped))), ping);
    });
  }

  test('a client leaves out frames that it does not know, a node does not take them', () => {
    const input = Uint8Array.from(bytes([...message(200, 'x')], [...message(PING, [8, 1])], field(1)));
    assert.deepEqual(protoCodec.decodeServer(input), ping);
    assert.equal(decode(input), null);
  });

  test('what is left out is zero, empty or false', () => {
    assert.deepEqual(decode(message(PING)), [{ type: 'ping', at: 0 }]);
    assert.deepEqual(protoCodec.decodeServer(message(12, field(1, 't'))), [{ type: 'unsubscribed', topic: 't', code: 0, message: '' }]);
  });

  test('the last one counts: of a field, of a payload, of a start, of the kinds of a frame', () => {
    assert.deepEqual(decode(message(PING, [8, 9], [8, 1])), ping);
    const taken = decode(publish(field(3, '1'), field(4, 'x'), field(3, '2')));
    assert.deepEqual(taken, [{ type: 'publish', topic: 't', number: 1, payload: { json: '2' } }]);
    const start = decode(subscribe(field(1, field(1, 'e')), [0x10, 3]));
    assert.deepEqual(start, [{ type: 'subscribe', topic: 't', start: { history: 3 } }]);
    assert.deepEqual(decode(Uint8Array.from(field(1, field(PRESENCE, field(1, 't')), field(PING, [8, 1])))), ping);
  });

  test('a varint may be longer than it needs to be, up to ten bytes', () => {
    assert.deepEqual(decode(message(PING, [8, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00])), ping);
  });

  test('an empty message has no frames', () => assert.deepEqual(decode(new Uint8Array()), []));

  test('a view of a larger buffer is read within its bounds, and what is read is a copy', () => {
    const whole = Buffer.concat([Buffer.from([0xff]), publish(field(4, 'xyz')), Buffer.from([0xff])]);
    const frames = decode(whole.subarray(1, -1));
    whole.fill(0);
    assert.deepEqual(frames, [{ type: 'publish', topic: 't', number: 1, payload: { bytes: new Uint8Array(Buffer.from('xyz')) } }]);
  });
});

test('names, tokens, lists, numbers and depth are taken up to the limit, and no further', () => {
  const { nameChars, tokenChars, positions, framesPerMessage, depth } = frameLimits;
  const repeat = (size: number, part: readonly number[]): number[] => Array.from({ length: size }, () => part).flat();
  const pairs: [string, (size: number) => Uint8Array, number][] = [
    ['topic', (size) => message(PRESENCE, field(1, 'é'.repeat(size))), nameChars],
    ['token', (size) => hello(field(5, 'é'.repeat(size))), tokenChars],
    ['subscriptions', (size) => hello(repeat(size, field(6, field(1, 't'), field(2, field(1, 'e'))))), positions],
    ['frames', (size) => Uint8Array.from(repeat(size, [...message(PING, [8, 1])])), framesPerMessage],
    ['number', (size) => message(PING, 8, varint(size)), Number.MAX_SAFE_INTEGER],
    ['depth', (size) => publish(field(3, '['.repeat(size) + ']'.repeat(size))), depth],
  ];
  for (const [what, input, limit] of pairs) {
    assert.ok(decode(input(limit)) !== null, `${what} at its limit`);
    assert.equal(decode(input(limit + 1)), null, `${what} beyond its limit`);
  }
});

test('JSON that would end early, and go on as a frame of its own, does not get to other clients', () => {
  const json = '1},{"type":"move","url":"wss://evil.example","ticket":"","withinMs":1},{"type":"ack","topic":"t","number":1,"x":1';
  const encoded = jsonCodec.encode([
    { type: 'publication', topic: 't', epoch: 'e', offset: 1, payload: { json } },
    { type: 'ping', at: 1 },
  ]);
  assert.ok(
    (jsonCodec.decodeServer(encoded) ?? []).some(({ type }) => type === 'move'),
    'it would work',
  );
  assert.equal(decode(publish(field(3, json))), null);
});

const malformed: Record<string, Uint8Array> = {
  'half a tag': Uint8Array.from([0x8a]),
  'a frame without its length': Uint8Array.from([0x0a]),
  'a frame that is longer than the message': Uint8Array.from([0x0a, 3, 0x42, 0]),
  'a field that is longer than its frame': Uint8Array.from([0x0a, 2, 0x42, 5, 8, 1, 8, 1, 8]),
  'a length that no message has': Uint8Array.from(bytes(0x0a, varint(Number.MAX_SAFE_INTEGER))),
  'a frame without a kind': Uint8Array.from([0x0a, 0]),
  'field number 0': Uint8Array.from([0x02, 0]),
  'a field number that is too large': Uint8Array.from(bytes(varint(2 ** 32 + 8), 0)),
  'a tag that is too long': Uint8Array.from([0x8a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0]),
  'the beginning of a group': message(PING, [8, 1, 0xfb, 0x01, 0xfc, 0x01]),
  'the end of a group': message(PING, [8, 1, 0xfc, 0x01]),
  'a wire type that there is not': message(PING, [8, 1, 0xfe, 0x01]),
  'fixed bytes that are cut short': message(PING, [8, 1, 0xf9, 0x01, 1, 2, 3]),
  'a frame that is a varint': Uint8Array.from([0x08, 1]),
  'a kind that is a varint': Uint8Array.from(field(1, [0x40, 1])),
  'a number with a length': message(PING, field(1, [1])),
  'a number of eight bytes': message(PING, [9, 1, 0, 0, 0, 0, 0, 0, 0]),
  'a topic that is a varint': message(PRESENCE, [8, 1]),
  'a negative number': message(PING, [8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
  'a varint that is cut short': message(PING, [8, 0x80]),
  'a varint of eleven bytes': message(PING, [8, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
  'a skipped varint of eleven bytes': message(PING, [8, 1, 0x10, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]),
  'text that is no UTF-8': message(PRESENCE, field(1, [0x74, 0xff])),
  'half a surrogate pair': message(PRESENCE, field(1, [0xed, 0xa0, 0x80])),
  'UTF-8 that is longer than it needs to be': message(PRESENCE, field(1, [0xc1, 0xb4])),
  'a topic without characters': message(PRESENCE, field(1)),
  'no topic': message(PRESENCE),
  'a frame of a node': message(21, [8, 1]),
  'no payload': publish(),
  'JSON without text': publish(field(3)),
  'JSON that is cut short': publish(field(3, '{"a":')),
  'JSON with something after it': publish(field(3, '1,2')),
  'JSON with a byte order mark': publish(field(3, '\ufeff1')),
  'NaN as JSON': publish(field(3, 'NaN')),
  'a hundred thousand arrays': publish(field(3, '['.repeat(100_000) + ']'.repeat(100_000))),
  'no start': message(2, field(1, 't')),
  'a start without a way': subscribe(),
  'a position without its epoch': subscribe(field(1, [0x10, 1])),
  'a subscription without a position': hello(field(6, field(1, 't'))),
};

describe('malformed', () => {
  for (const [what, input] of Object.entries(malformed)) test(what, () => assert.equal(decode(input), null));

  test('every message that was cut short', () => {
    const whole = subscribe(field(1, field(1, 'epoch'), [0x10, 0x80, 0x01]));
    for (let end = 1; end < whole.length; end++) assert.equal(decode(whole.subarray(0, end)), null, `the first ${end} bytes`);
  });

  test('also from a node, where it is no question of trust', () => {
    for (const input of [malformed['half a tag'], message(21, field(1, [1])), message(11, field(1, 't')), message(13, field(1, 't'))]) {
      assert.equal(protoCodec.decodeServer(input), null);
    }
  });
});
