// What is kept of a WebSocket for its next upstream: whose messages it speaks, and no more than is needed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOfEach } from '../../../test/heap.ts';
import { subprotocols } from '../../protocol/frames.ts';
import { Life } from './life.ts';

const way = { localAddress: '127.0.0.1', localPort: 80, secure: false, serverName: null, trusted: false };
const settings = { replay: 0, holdBytes: 0 };
const SIZE = 4_000;

/** A part of a text of 4,000 characters, as a head is, that is there for nothing else. */
const cutOut = (i: number): string => Buffer.alloc(SIZE, `${i}: upstream-that-a-cookie-names; `).toString('latin1').slice(100, 140);

test('what is kept of a WebSocket does not hold on to the heads that it comes from', () => {
  const lives = {
    sticky: (i: number) => new Life({ ask: { key: null, sticky: cutOut(i), without: null }, way, head: '' }, settings),
    key: (i: number) => new Life({ ask: { key: cutOut(i), sticky: null, without: null }, way, head: '' }, settings),
    protocol: (i: number) => {
      const life = new Life({ ask: { key: null, sticky: null, without: null }, way, head: '' }, settings);
      life.speak(cutOut(i));
      return life;
    },
  };
  for (const [what, make] of Object.entries(lives)) {
    const bytes = bytesOfEach(1_000, make);
    assert.ok(bytes < SIZE / 4, `${Math.round(bytes)} bytes are kept with its ${what}`);
  }
});

test('clients of ours are known by their sub-protocol, and nothing is replayed for them', () => {
  const kinds = [undefined, 'chat', subprotocols.json, subprotocols.proto].map((protocol) => {
    const life = new Life({ ask: { key: null, sticky: null, without: null }, way, head: '' }, { replay: 2, holdBytes: 100 });
    life.speak(protocol);
    assert.equal(life.protocol, protocol);
    return [life.kind, life.replay !== null];
  });
  assert.deepEqual(kinds, [
    ['plain', true],
    ['plain', true],
    ['json', false],
    ['proto', false],
  ]);
});
