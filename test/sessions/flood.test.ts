// A hundred thousand handshakes from one address: let in at the rate of admission, told to come later, or refused, each as documented;
// the memory of the server stays flat, and who was there before does not notice.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { freePorts } from '../../src/cli/demo/free-port.ts';
import { realRandom } from '../../src/host/random.ts';
import { memoryOf, startServer, type Memory } from './servers.ts';
import { Wire } from './wire.ts';

const COUNT = 100_000;
const AT_ONCE = 100;
/** On a slow machine there are fewer of them. */
const WITHIN_MS = 20_000;
const PER_S = 20;

const handshake = [
  'GET /evenkeel HTTP/1.1',
  'Host: localhost',
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Protocol: evenkeel.v1.json',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  '\r\n',
].join('\r\n');

type Outcome = 'in' | 'later' | 'refused' | 'broken';

/** Shakes hands, and goes without a word: a reset leaves no port behind. */
function knock(port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(handshake));
    const end = (outcome: Outcome): void => {
      clearTimeout(timer);
      socket.resetAndDestroy();
      resolve(outcome);
    };
    // Who is let in hears nothing until it says hello.
    let timer = setTimeout(() => end('broken'), 10_000);
    socket.on('error', () => end('broken'));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const body = text.indexOf('\r\n\r\n');
      if (body < 0) return;
      if (text.startsWith('HTTP/1.1 503')) return end(/\r\nRetry-After: [1-9]\d*\r\n/.test(text) ? 'refused' : 'broken');
      if (!text.startsWith('HTTP/1.1 101')) return end('broken');
      const close = Buffer.from(text.slice(body + 4), 'latin1');
      if (close.length > 4)
        return end(close.readUInt16BE(2) === 1013 && /^\{"retryMs":\d+,"slot":"[^"]+"\}$/.test(close.subarray(4).toString()) ? 'later' : 'broken');
      clearTimeout(timer);
      timer = setTimeout(() => end('in'), 300);
    });
  });
}

test('a hundred thousand handshakes from one address are bounded by admission, and harm nobody', async (context) => {
  const [port] = await freePorts(1, realRandom);
  const server = await startServer(context, { port, options: { engine: 'memory', id: 'n1', signals: [], limits: { admissionPerS: PER_S } }, sessions: {} });
  const open = await Wire.welcomed(`ws://127.0.0.1:${port}/evenkeel`);
  const counts: Record<Outcome, number> = { in: 0, later: 0, refused: 0, broken: 0 };
  const begun = performance.now();
  let left = COUNT;
  let sent = 0;
  const knocking = Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0 && performance.now() - begun < WITHIN_MS) {
      sent++;
      counts[await knock(port)]++;
    }
  });
  let early: Memory | null = null;
  const delays: number[] = [];
  const all = Promise.all(knocking);
  const flood = { isOver: false };
  void all.then(() => (flood.isOver = true));
  for (let at = 1; !flood.isOver; at++) {
    const from = performance.now();
    open.say({ type: 'ping', at });
    await open.next('pong');
    delays.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, 50));
    if (early === null && sent > COUNT / 20) early = await memoryOf(server);
  }
  await all;
  const seconds = (performance.now() - begun) / 1000;
  const late = await memoryOf(server);
  const [live, resident] = (['live', 'resident'] as const).map((kind) => (late[kind] - (early?.[kind] ?? Number.NaN)) / 1e6);
  const p99 = delays.toSorted((a, b) => a - b)[Math.floor(delays.length * 0.99)];
  const shown = `${JSON.stringify(counts)} in ${seconds.toFixed(1)} s, ${live.toFixed(1)} MB live and ${resident.toFixed(1)} MB resident more, p99 of the open session ${p99.toFixed(0)} ms`;
  context.diagnostic(shown);
  assert.equal(counts.broken, 0, shown);
  // A second of the rate at once; what comes then is kept for those who were told when to come, four times as many.
  assert.ok(counts.in <= PER_S * (seconds + 2) && counts.later <= 4 * PER_S * (seconds + 2), shown);
  assert.ok(counts.in >= PER_S / 2 && counts.later >= PER_S && counts.refused > 0.8 * sent, shown);
  // Node 24 lets 130 MB of garbage stand where Node 20 lets 17: what is kept must be nothing, what stands must have an end.
  assert.ok(live < 10 && resident < 200, shown);
  assert.ok(open.closed === null && p99 < 1_000, shown);
  open.socket.terminate();
});
