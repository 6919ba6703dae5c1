// Both codecs say the same: every random frame comes back as it was, and a protobuf library that reads evenkeel.proto agrees.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import protobuf from 'protobufjs';
import type { ClientFrame, ServerFrame } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { protoCodec } from '../../src/protocol/proto.ts';
import { always } from '../property.ts';
import { anyClientMessage, anyServerMessage, clientFrameTypes, serverFrameTypes } from './arbitrary-frames.ts';

type Frame = ClientFrame | ServerFrame;
const RUNS = 2_000;

for (const codec of [jsonCodec, protoCodec]) {
  describe(codec.subprotocol, () => {
    test('every message of a client comes back as it was', () => {
      always(anyClientMessage, (frames) => assert.deepEqual(codec.decodeClient(codec.encode(frames)), frames), RUNS);
    });

    test('every message of a node comes back as it was', () => {
      always(anyServerMessage, (frames) => assert.deepEqual(codec.decodeServer(codec.encode(frames)), frames), RUNS);
    });

    test('a client may not say what only nodes say, and a client that hears what only clients say leaves it out', () => {
      always(anyServerMessage, (frames) => {
        const isForeign = frames.some(({ type }) => !clientFrameTypes.includes(type));
        assert.equal(codec.decodeClient(codec.encode(frames)) === null, isForeign);
      });
      always(anyClientMessage, (frames) => {
        const common = frames.filter(({ type }) => serverFrameTypes.includes(type));
        assert.deepEqual(codec.decodeServer(codec.encode(frames)), common);
      });
    });

    test('an optional field that is undefined is left out', () => {
      const frame = { type: 'hello', session: undefined, instance: 'i', link: 1, token: undefined, subscriptions: [] } as const;
      assert.deepEqual(codec.decodeClient(codec.encode([frame])), [{ type: 'hello', instance: 'i', link: 1, subscriptions: [] }]);
    });

    test('a message of the other form is none of this one', () => {
      const other = codec === jsonCodec ? protoCodec : jsonCodec;
      const message = other.encode([{ type: 'ping', at: 1 }]);
      assert.equal(codec.decodeClient(message), null);
      assert.equal(codec.decodeServer(message), null);
    });
  });
}

describe('a protobuf library that has read evenkeel.proto', () => {
  const source = readFileSync('src/protocol/evenkeel.proto', 'utf8');
  const Message = protobuf.parse(source).root.lookupType('evenkeel.v1.Message');

  const written = (frames: readonly Frame[]): Uint8Array => Message.encode(Message.create({ frames: frames.map(plain) })).finish();
  // As a Buffer, so that both give bytes as Buffers.
  const understood = (message: string | Uint8Array): object => Message.toObject(Message.decode(Buffer.from(message as Uint8Array)), { longs: Number });

  test('understands what the codec writes as what it writes itself', () => {
    always(anyClientMessage, (frames) => assert.deepEqual(understood(protoCodec.encode(frames)), understood(written(frames))), RUNS);
    always(anyServerMessage, (frames) => assert.deepEqual(understood(protoCodec.encode(frames)), understood(written(frames))), RUNS);
  });

  test('writes what the codec understands', () => {
    always(anyClientMessage, (frames) => assert.deepEqual(protoCodec.decodeClient(written(frames)), frames), RUNS);
    always(anyServerMessage, (frames) => assert.deepEqual(protoCodec.decodeServer(written(frames)), frames), RUNS);
  });

  /** A frame as the library spells it: by its type, the payload's field among the others, nobody's name left out. */
  const plain = (frame: Frame): Record<string, object> => {
    const { type, payload, ...fields } = frame as { type: string; payload?: object } & Record<string, unknown>;
    return { [type]: withoutNull({ ...fields, ...payload }) as object };
  };

  const withoutNull = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(withoutNull);
    if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value;
    const kept = Object.entries(value).filter(([, one]) => one !== null);
    return Object.fromEntries(kept.map(([name, one]) => [name, withoutNull(one)]));
  };
});

test('the messages of two encodings, joined byte by byte, are one message of all their frames', () => {
  always(anyServerMessage, (frames) => {
    const halves = [frames.slice(0, 2), frames.slice(2)].map((half) => protoCodec.encode(half) as Uint8Array);
    assert.deepEqual(protoCodec.decodeServer(Buffer.concat(halves)), frames);
  });
});
