// The corpus of requests that smuggle, and requests at random, through HAProxy: whatever we take, HAProxy takes too, and hands
// on with the same bounds.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { sleep } from '../../src/host/clock.ts';
import { listening } from '../transports/raw-http.ts';
import { ours, type Found } from './http-oracles.ts';
import { bytesOfClients, corpus } from './http-requests.ts';
import { nobody } from './http-stage.ts';

const noHaproxy: string | false = spawnSync('haproxy', ['-v']).error === undefined ? false : 'haproxy is not installed';

/** Asked at a time; each waits for HAProxy's patience with what is not complete. */
const AT_ONCE = 16;

/** The FIN comes so long behind the bytes; on a busy machine HAProxy may need more, and is asked again. */
const WAITS_MS = [40, 400, 1_500];

/** Handshakes of WebSocket leave HTTP: HAProxy wants to see their key, here that is for whoever relays them. */
const isCompared = (bytes: Buffer): boolean => ours(bytes).requests.length > 0 && !bytes.includes('Upgrade: websocket');

/** What reached the server behind, by the client's port. */
async function behind(context: TestContext): Promise<{ readonly port: number; readonly found: Map<string, Found[]> }> {
  const found = new Map<string, Found[]>();
  // HAProxy hands on a request of HTTP/1.0 as one of HTTP/1.1 without a host.
  const server = http.createServer({ requireHostHeader: false }, (request, response) => {
    const pieces: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (piece: Buffer) => void pieces.push(piece));
    request.on('end', () => {
      const client = String(request.headers['x-client']);
      const { method = '', url = '' } = request;
      found.set(client, [...(found.get(client) ?? []), { method, target: pathOf(method, url), body: Buffer.concat(pieces).toString('latin1') }]);
      response.end();
    });
  });
  return { port: await listening(context, server), found };
}

function pathOf(method: string, url: string): string {
  const path = url.replace(/^https?:\/\/[^/?]*/i, '');
  return path === '' ? (method === 'OPTIONS' ? '*' : '/') : path;
}

async function haproxy(context: TestContext, to: number): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'evk-oracle-'));
  const port = await nobody();
  const lines = [
    'defaults',
    '  mode http',
    '  timeout connect 1s',
    '  timeout client 1s',
    '  timeout server 2s',
    '  timeout http-request 1s',
    'frontend f',
    `  bind 127.0.0.1:${port}`,
    '  http-request set-header X-Client %[src_port]',
    '  default_backend b',
    'backend b',
    `  server s 127.0.0.1:${to}`,
    '',
  ];
  writeFileSync(join(folder, 'cfg'), lines.join('\n'));
  const child = spawn('haproxy', ['-db', '-f', join(folder, 'cfg')], { stdio: 'ignore' });
  context.after(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  for (let tries = 0; tries < 200; tries++) {
    const isUp = await new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' }, () => resolve(socket.destroy()));
      socket.on('error', () => resolve(false));
    });
    if (isUp !== false) return port;
    await sleep(25);
  }
  throw new Error('haproxy did not start');
}

/** The port that the bytes were sent from, once the connection is over. */
function send(port: number, bytes: Buffer, waitMs: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    let from = '';
    socket.on('connect', () => {
      from = String(socket.localPort);
      socket.write(bytes);
      setTimeout(() => socket.end(), waitMs);
      setTimeout(() => socket.destroy(), 2_000).unref();
    });
    socket.on('error', () => {});
    socket.resume().on('end', () => socket.end());
    socket.on('close', () => resolve(from));
  });
}

test('of each request that we take, HAProxy sees what we see', { skip: noHaproxy }, async (context) => {
  const { port: server, found } = await behind(context);
  const port = await haproxy(context, server);
  const seed = Number(process.env.EVENKEEL_SEED ?? Date.now() % 1_000_000);
  const cases = [...corpus, ...fc.sample(bytesOfClients, { numRuns: 400, seed })].filter(isCompared);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < cases.length) {
      const bytes = cases[next++];
      const { requests } = ours(bytes);
      let theirs: readonly Found[] = [];
      for (const waitMs of WAITS_MS) {
        const client = await send(port, bytes, waitMs);
        theirs = found.get(client)?.slice(0, requests.length) ?? [];
        found.delete(client);
        if (theirs.length === requests.length) break;
      }
      assert.deepEqual(theirs, requests, `HAProxy reads this in another way (seed ${seed}): ${JSON.stringify(bytes.toString('latin1'))}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  assert.ok(cases.length > 100);
});
