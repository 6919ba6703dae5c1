// A short run of the fuzz of the codecs; `npm run fuzz:frames` is the long one.
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { jsonCodec } from '../../src/protocol/json.ts';
import { protoCodec } from '../../src/protocol/proto.ts';
import { fuzzFrames } from './frame-fuzz.ts';

const RUNS = 20_000;
const seed = Number(process.env.EVENKEEL_SEED ?? randomInt(2 ** 31));

for (const codec of [jsonCodec, protoCodec]) {
  test(`${codec.subprotocol}: 20,000 mutations and noises do no harm`, (context) => {
    const { tried, fromClient, fromNode } = fuzzFrames(codec, seed, RUNS);
    context.diagnostic(`seed ${seed}: ${fromClient} taken from a client, ${fromNode} from a node`);
    assert.equal(tried, RUNS);
    assert.ok(fromClient > RUNS / 100 && fromNode > RUNS / 100, 'enough of them are messages still, so that more than the first check is met');
  });
}
