// The JSON form: what a message looks like, that a payload's text is passed on untouched, and that nothing malformed gets in.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { frameLimits, type ClientFrame } from './frames.ts';
import { jsonCodec } from './json.ts';

const publish = (fields: string): string => `{"type":"publish","topic":"t","number":1,${fields}}`;
const name = (length: number): string => 'n'.repeat(length);

test('one frame is an object, several are an array, none is an empty one', () => {
  assert.equal(jsonCodec.encode([{ type: 'ping', at: 5 }]), '{"type":"ping","at":5}');
  assert.equal(
    jsonCodec.encode([
      { type: 'ping', at: 5 },
      { type: 'unsubscribe', topic: 't' },
    ]),
    '[{"type":"ping","at":5},{"type":"unsubscribe","topic":"t"}]',
  );
  assert.equal(jsonCodec.encode([]), '[]');
  assert.deepEqual(jsonCodec.decodeClient('[]'), []);
});

test('the text of a payload goes into the message as it is, read by nobody', () => {
  const payload = { json: '{ "a" : 1.0 }' };
  assert.equal(jsonCodec.encode([{ type: 'publish', topic: 't', number: 1, payload }]), publish('"data":{ "a" : 1.0 }'));
});

test('a payload comes out as compact JSON', () => {
  const frames = jsonCodec.decodeClient(publish('"data": { "a" : [1.0, null] }'));
  assert.deepEqual(frames, [{ type: 'publish', topic: 't', number: 1, payload: { json: '{"a":[1,null]}' } }]);
});

test('bytes are base64, with every length of its end', () => {
  for (let length = 0; length < 600; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 256);
    const message = jsonCodec.encode([{ type: 'publish', topic: 't', number: 1, payload: { bytes } }]);
    assert.equal(message, publish(`"bytes":"${Buffer.from(bytes).toString('base64')}"`));
    assert.deepEqual(jsonCodec.decodeClient(message), [{ type: 'publish', topic: 't', number: 1, payload: { bytes } }]);
  }
});

test('what is not known is left out: fields from a client, fields and types from a node', () => {
  assert.deepEqual(jsonCodec.decodeClient('{"type":"ping","at":1,"later":{"deep":[]}}'), [{ type: 'ping', at: 1 }]);
  assert.deepEqual(jsonCodec.decodeServer('[{"type":"later","x":1},{"type":"spread","ms":9,"x":{}}]'), [{ type: 'spread', ms: 9 }]);
});

test('minus zero is zero', () => assert.deepEqual(jsonCodec.decodeClient('{"type":"ping","at":-0}'), [{ type: 'ping', at: 0 }]));

test('a node is trusted with lengths', () => {
  const frame = { type: 'ack', topic: name(10_000), number: 1 } as const;
  assert.deepEqual(jsonCodec.decodeServer(jsonCodec.encode([frame])), [frame]);
});

test('names, tokens, lists, numbers and depth are taken up to the limit, and no further', () => {
  const { nameChars, tokenChars, positions, framesPerMessage, depth } = frameLimits;
  const hello = (fields: object): string => JSON.stringify({ type: 'hello', instance: 'i', link: 1, subscriptions: [], ...fields });
  const list = (length: number): object[] => Array.from({ length }, () => ({ topic: 't', after: { epoch: 'e', offset: 1 } }));
  const nested = (levels: number): string => publish(`"data":${'['.repeat(levels)}${']'.repeat(levels)}`);
  const pairs: [string, (size: number) => string, number][] = [
    ['topic', (size) => JSON.stringify({ type: 'presence', topic: name(size) }), nameChars],
    ['instance', (size) => hello({ instance: name(size) }), nameChars],
    ['token', (size) => hello({ token: name(size) }), tokenChars],
    ['ticket', (size) => hello({ ticket: name(size) }), tokenChars],
    ['subscriptions', (size) => hello({ subscriptions: list(size) }), positions],
    ['frames', (size) => JSON.stringify(Array.from({ length: size }, () => ({ type: 'ping', at: 1 }))), framesPerMessage],
    ['number', (size) => `{"type":"ping","at":${size}}`, Number.MAX_SAFE_INTEGER],
    ['depth', nested, depth],
  ];
  for (const [what, message, limit] of pairs) {
    assert.ok(jsonCodec.decodeClient(message(limit)) !== null, `${what} at its limit`);
    assert.equal(jsonCodec.decodeClient(message(limit + 1)), null, `${what} beyond its limit`);
  }
});

test('brackets within text are no depth', () => {
  const text = JSON.stringify(`"\\${'['.repeat(1_000)}`);
  assert.ok(jsonCodec.decodeClient(publish(`"data":${text}`)) !== null);
  assert.ok(jsonCodec.decodeClient(publish(`"data":[${Array.from({ length: 1_000 }, () => '[{}]').join(',')}]`)) !== null);
});

test('no key of a message reaches a prototype', () => {
  const frames = jsonCodec.decodeClient('{"__proto__":{"topic":"t"},"type":"publish","topic":"t","number":1,"data":{"__proto__":{"polluted":1}}}') ?? [];
  assert.equal(Object.getPrototypeOf(frames[0]), Object.prototype);
  assert.deepEqual((frames[0] as Extract<ClientFrame, { type: 'publish' }>).payload, { json: '{"__proto__":{"polluted":1}}' });
  assert.equal(({} as { polluted?: number }).polluted, undefined);
  assert.equal(jsonCodec.decodeClient('{"type":"presence","__proto__":{"topic":"t"}}'), null);
});

const frame = (fields: object): string => JSON.stringify({ type: 'subscribe', topic: 't', start: { history: 0 }, ...fields });

const malformed: Record<string, string> = {
  nothing: '',
  'half a message': '{"type":"ping","at":',
  'two messages': '{"type":"ping","at":1}{"type":"ping","at":1}',
  'no object': '5',
  null: 'null',
  text: '"ping"',
  'an array in an array': '[[{"type":"ping","at":1}]]',
  'null among frames': '[null]',
  'no type': '{"at":1}',
  'a type that is a number': '{"type":8,"at":1}',
  'a type that nobody knows': '{"type":"later"}',
  'the type constructor': '{"type":"constructor"}',
  'the type __proto__': '{"type":"__proto__"}',
  'the type of a node': '{"type":"spread","ms":1}',
  'a field that is missing': '{"type":"ping"}',
  'null for a number': '{"type":"ping","at":null}',
  NaN: '{"type":"ping","at":NaN}',
  infinity: '{"type":"ping","at":1e999}',
  'a negative number': '{"type":"ping","at":-1}',
  'a broken number': '{"type":"ping","at":0.5}',
  'a number as text': '{"type":"ping","at":"1"}',
  'an unsafe number': '{"type":"ping","at":9007199254740992}',
  'a topic without characters': frame({ topic: '' }),
  'a topic that is a list': frame({ topic: ['t'] }),
  'half a surrogate pair': '{"type":"presence","topic":"\\ud800"}',
  'null for an optional field': frame({ presence: null }),
  'a flag as a number': frame({ presence: 1 }),
  'a start without a way': frame({ start: {} }),
  'a start with both ways': frame({ start: { history: 1, after: { epoch: 'e', offset: 1 } } }),
  'a start that is a list': frame({ start: [] }),
  'a position without its epoch': frame({ start: { after: { offset: 1 } } }),
  'subscriptions that are an object': '{"type":"hello","instance":"i","link":1,"subscriptions":{"length":1}}',
  'a subscription that is null': '{"type":"hello","instance":"i","link":1,"subscriptions":[null]}',
  'no payload': publish('"x":1'),
  'two payloads': publish('"data":1,"bytes":"AA=="'),
  'bytes that are no text': publish('"bytes":[1]'),
  'bytes of a wrong length': publish('"bytes":"AAA"'),
  'bytes with spaces': publish('"bytes":"AA A"'),
  'bytes with foreign letters': publish('"bytes":"AA-_"'),
  'bytes with letters beyond ASCII': publish('"bytes":"AAé="'),
  'bytes that end in the middle': publish('"bytes":"A=A="'),
  'bytes with too much of an end': publish('"bytes":"A==="'),
  'a hundred thousand arrays': publish(`"data":${'['.repeat(100_000)}${']'.repeat(100_000)}`),
  'a hundred thousand arrays around a frame': `${'['.repeat(100_000)}${']'.repeat(100_000)}`,
  'a byte order mark': '\ufeff{"type":"ping","at":1}',
};

describe('malformed', () => {
  for (const [what, message] of Object.entries(malformed)) test(what, () => assert.equal(jsonCodec.decodeClient(message), null));

  test('every message that was cut short', () => {
    const whole = frame({}) + frame({});
    for (let end = 1; end < whole.length; end++) {
      if (end !== whole.length / 2) assert.equal(jsonCodec.decodeClient(whole.slice(0, end)), null, `the first ${end} characters`);
    }
  });

  test('also from a node, where it is no question of trust', () => {
    for (const message of ['', '5', '[null]', '{"type":8}', '{"type":"spread"}', '{"type":"spread","ms":-1}', '{"type":"move","url":1}']) {
      assert.equal(jsonCodec.decodeServer(message), null, message);
    }
  });
});
