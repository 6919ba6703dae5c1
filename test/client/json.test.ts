// The client's small JSON codec says and understands the same as the one of the nodes.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { compactJsonCodec } from '../../src/client/json.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { anyClientMessage, anyServerMessage } from '../protocol/arbitrary-frames.ts';
import { always } from '../property.ts';

/** As objects of JSON, apart from bytes: members that are undefined are not there. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('the JSON codec of the client', () => {
  test('is understood by a node', () => {
    always(anyClientMessage, (frames) => {
      assert.deepEqual(plain(jsonCodec.decodeClient(compactJsonCodec.encode(frames))), plain(frames));
    });
  });

  test('understands a node', () => {
    always(anyServerMessage, (frames) => {
      const message = jsonCodec.encode(frames);
      assert.deepEqual(plain(compactJsonCodec.decodeServer(message)), plain(jsonCodec.decodeServer(message)));
    });
  });

  test('takes nothing that lacks what the client uses, and leaves out types that it does not know', () => {
    const { decodeServer } = compactJsonCodec;
    const bad = [
      '',
      '{',
      '[]]',
      'null',
      '[null]',
      '{"type":"ack","topic":"a"}',
      '{"type":"ack","topic":1,"number":1}',
      '{"type":"ack","topic":"a","number":1.5}',
    ];
    bad.push('{"type":"gap","topic":"a"}', '{"type":"gap","topic":"a","position":{"epoch":"e"}}', '{"type":"present","topic":"a","members":{}}');
    bad.push('{"type":"publication","topic":"a","epoch":"e","offset":1}', '{"type":"publication","topic":"a","epoch":"e","offset":1,"bytes":"%"}');
    for (const message of bad) assert.equal(decodeServer(message), null, message);
    assert.equal(decodeServer(new Uint8Array(3)), null);
    assert.deepEqual(decodeServer('[{"type":"later"},{"type":"constructor"},{"type":"spread","ms":1}]'), [{ type: 'spread', ms: 1 }]);
  });
});
