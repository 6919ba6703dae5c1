// The times of a stream whose client reads slowly, or not at all.
import assert from 'node:assert/strict';
import type { ServerHttp2Stream } from 'node:http2';
import { test } from 'node:test';
import type { Passage } from '../../connections/transports/goaway.ts';
import { Outflow } from './outflow.ts';

/** A stream on which much waits, in the middle of one long write of its connection. */
function flowing() {
  const stream = { id: 1, writableLength: 60_000 };
  const handle = { writeQueueSize: 50_000 };
  const passage = { data: 0, bytesSent: 0, socket: { writableLength: 80_000, _handle: handle }, follow: () => passage.data, unfollow: () => {} };
  const outflow = new Outflow(stream as unknown as ServerHttp2Stream, passage as unknown as Passage);
  assert.equal(outflow.stillMs(1_000), 0);
  return { stream, handle, passage, outflow };
}

test('nothing moves: the time grows; whatever moves begins it anew, and where nothing waits there is none', () => {
  const { stream, passage, outflow } = flowing();
  assert.equal(outflow.stillMs(3_000), 2_000);
  passage.data += 1;
  assert.equal(outflow.stillMs(4_000), 0);
  assert.equal(outflow.stillMs(5_000), 1_000);
  stream.writableLength -= 1;
  assert.equal(outflow.stillMs(6_000), 0);
  stream.writableLength = 0;
  assert.equal(outflow.stillMs(9_000), 0);
});

test('a connection that trickles in the middle of a write moves all of its streams; one that takes whole writes of others does not', () => {
  const { handle, passage, outflow } = flowing();
  handle.writeQueueSize -= 10;
  assert.equal(outflow.stillMs(2_000), 0);
  passage.bytesSent += 50_000;
  handle.writeQueueSize = 7_000;
  assert.equal(outflow.stillMs(3_000), 1_000);
});
