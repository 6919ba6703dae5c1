// Feeds the codecs with mutated messages and noise. `npm run fuzz:frames -- --seed N --messages N --seconds N`: a million messages
// per codec, for at most two minutes each. What it finds is told with the seed that repeats it; exit code 1.
import { parseArgs } from 'node:util';
import { jsonCodec } from '../dist/src/protocol/json.js';
import { protoCodec } from '../dist/src/protocol/proto.js';
import { fuzzFrames } from '../dist/test/protocol/frame-fuzz.js';

const { values } = parseArgs({ options: { seed: { type: 'string' }, messages: { type: 'string' }, seconds: { type: 'string' } } });
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed);
const messages = Number(values.messages ?? 1_000_000);
const seconds = Number(values.seconds ?? 120);

for (const codec of [jsonCodec, protoCodec]) {
  const began = performance.now();
  try {
    const { tried, fromClient, fromNode } = fuzzFrames(codec, seed, messages, () => performance.now() - began > seconds * 1000);
    console.log(`${codec.subprotocol}: ${tried} messages from seed ${seed} did no harm (${fromClient} taken from a client, ${fromNode} from a node)`);
  } catch (error) {
    console.log(error);
    console.log(`repeat: npm run fuzz:frames -- --seed ${seed}`);
    process.exitCode = 1;
  }
}
