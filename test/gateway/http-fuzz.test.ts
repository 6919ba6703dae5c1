// Requests at random, and a corpus of those that smuggle: whatever we take, node:http takes too and cuts at the same places.
// Where we refuse what it takes, the reason is one of those listed here.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as fc from 'fast-check';
import { alwaysAsync } from '../property.ts';
import { NodeOracle, ours, type Found } from './http-oracles.ts';
import { bytesOfClients, corpus } from './http-requests.ts';
import { served, stage } from './http-stage.ts';

/** What we refuse and node:http does not, and why. */
const STRICTER = new Set([
  // `*` is for OPTIONS; user names in a URL are not allowed in requests (RFC 9110, section 4.2.4).
  'the request target must be a path, a URL of http or https, or * for OPTIONS',
  // Node believes either of them; who stands behind could believe the other.
  'the host of the request target and Host must be the same',
  // Node hands HTTP/2.0 and HTTP/0.9 on as a version that it does not speak.
  'only HTTP/1.1 and HTTP/1.0 are spoken here',
  // Two spaces, no version, a fragment.
  'the request line is not "METHOD target HTTP/1.1"',
  // Node takes the first Host of several, and any characters in it.
  'Host must be given exactly once',
  'Host must be a name or an address, with a port or without',
  // Node takes any coding if the last is `chunked`, and an empty field.
  'Transfer-Encoding must be "chunked"',
  'HTTP/1.0 has no Transfer-Encoding',
  // Newer versions of Node take a tab behind the number.
  'Content-Length must be a number of decimal digits',
  // So does HAProxy.
  'GET, HEAD and DELETE of HTTP/1.0 have no body',
  // In Node the application hears of it, and answers 417 where it does not care.
  'only 100-continue can be expected',
  // Node hands trailers on, whatever their names.
  'a chunk is malformed',
  // No method of an origin server.
  'CONNECT is not offered',
]);

const oracle = new NodeOracle();
after(() => oracle.close());

async function compare(bytes: Buffer): Promise<void> {
  const we = ours(bytes);
  const node = await oracle.read(bytes, we.ends);
  assert.deepEqual(
    we.requests,
    node.requests.slice(0, we.requests.length),
    `node:http reads this in another way (${node.refused}): ${JSON.stringify(bytes.toString('latin1'))}`,
  );
  if (node.requests.length > we.requests.length && we.refused !== null) {
    assert.ok(STRICTER.has(we.refused), `refused for a reason that is not listed (${we.refused}): ${JSON.stringify(bytes.toString('latin1'))}`);
  }
}

test('of each request in the corpus, node:http sees what we see', async () => {
  for (const bytes of corpus) await compare(bytes);
});

test('of requests at random, node:http sees what we see', async () => {
  await alwaysAsync(bytesOfClients, compare, 2_000);
});

test('where the bytes are cut into pieces makes no difference', async () => {
  const cuts = fc.record({ bytes: bytesOfClients, at: fc.nat(500) });
  await alwaysAsync(
    cuts,
    async ({ bytes, at }) => {
      const we = ours(bytes);
      const where = bytes.length === 0 ? 0 : at % bytes.length;
      const ends = [...we.ends, where].sort((a, b) => a - b);
      const node = await oracle.read(bytes, ends);
      assert.deepEqual(we.requests, node.requests.slice(0, we.requests.length), JSON.stringify(bytes.toString('latin1')));
    },
    500,
  );
});

test('through the proxy, an upstream of node:http sees the requests that we saw, and no others', async (context) => {
  let seen: Found[] = [];
  const port = await served(context, (request, response) => {
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => void pieces.push(piece));
    request.on('error', () => {});
    request.on('end', () => {
      const { method = '', url = '' } = request;
      seen.push({ method, target: url, body: Buffer.concat(pieces).toString('latin1') });
      response.end();
    });
  });
  const { open, settled } = await stage(context, [port], { limits: { headers: 2_000 } });
  const some = [...corpus, ...fc.sample(bytesOfClients, { numRuns: 200, seed: Number(process.env.EVENKEEL_SEED ?? 1) })];
  for (const bytes of some) {
    seen = [];
    const client = await open({ allowHalfOpen: true });
    client.socket.end(bytes);
    await client.ended();
    client.socket.destroy();
    assert.deepEqual(seen, ours(bytes).requests, JSON.stringify(bytes.toString('latin1')));
  }
  await settled();
});
