// The HTTP/1.1 proxy between programs that others wrote: curl, undici and wrk in front, nginx and Python's server behind.
import assert from 'node:assert/strict';
import { execFile, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Pool } from 'undici';
import { sleep } from '../../src/host/clock.ts';
import { nobody, served, stage, until } from './http-stage.ts';

const run = promisify(execFile);

const missing = (program: string, flag = '--version'): string | false =>
  spawnSync(program, [flag]).error === undefined ? false : `${program} is not installed`;

async function answers(port: number): Promise<void> {
  let isUp = false;
  for (let tries = 0; !isUp && tries < 200; tries++) {
    isUp = await new Promise((resolve) => {
      const socket = net.connect({ port, host: '127.0.0.1' }, () => resolve(true));
      socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
    });
    if (!isUp) await sleep(25);
  }
  assert.ok(isUp, `a server listens on ${port}`);
}

/** Starts a server that ends with the test. */
async function started(context: TestContext, command: readonly [string, ...string[]], port: number): Promise<void> {
  const child = spawn(command[0], command.slice(1), { stdio: 'ignore' });
  context.after(() => child.kill('SIGKILL'));
  await answers(port);
}

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'evk-http-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

async function nginx(context: TestContext, root: string): Promise<number> {
  const port = await nobody();
  const file = join(root, 'nginx.conf');
  const lines = [
    // Started by root it would read as somebody else, whose the folder is not.
    process.getuid?.() === 0 ? 'user root;' : '',
    `pid ${root}/pid; daemon off; master_process off; error_log stderr crit;`,
    'events {}',
    `http { access_log off; client_body_temp_path ${root}/body; proxy_temp_path ${root}/proxy; fastcgi_temp_path ${root}/f; uwsgi_temp_path ${root}/u; scgi_temp_path ${root}/s;`,
    `server { listen 127.0.0.1:${port}; root ${root}/files; gzip on; gzip_types *; gzip_min_length 1; keepalive_requests 7; location /put/ { return 201 "made"; } } }`,
  ];
  writeFileSync(file, lines.join('\n'));
  await started(context, ['nginx', '-p', root, '-c', file], port);
  return port;
}

test('curl gets from nginx what nginx has, in parts, packed and unpacked', { skip: missing('curl') || missing('nginx', '-v') }, async (context) => {
  const root = folder(context);
  const content = randomBytes(300_000).toString('hex');
  spawnSync('mkdir', ['-p', join(root, 'files')]);
  writeFileSync(join(root, 'files', 'a.txt'), content);
  const { url, tally } = await stage(context, [await nginx(context, root)]);
  const curl = async (...args: string[]): Promise<string> => (await run('curl', ['-sS', '--max-time', '20', ...args], { maxBuffer: 64 * 1_048_576 })).stdout;
  assert.equal(hash(Buffer.from(await curl(`${url}/a.txt`))), hash(Buffer.from(content)));
  assert.equal(await curl('--compressed', `${url}/a.txt`), content);
  assert.equal(await curl('-r', '10-19', `${url}/a.txt`), content.slice(10, 20));
  assert.match(await curl('-I', `${url}/a.txt`), /^HTTP\/1\.1 200 OK\r\n[^]*Content-Length: 600000\r\n/);
  assert.equal(await curl('-0', `${url}/a.txt`), content);
  assert.match(await curl('-o', '/dev/null', '-w', '%{http_code}', `${url}/none`), /404/);
  // nginx ends each connection after seven requests; nobody may see it.
  const many = Array.from({ length: 40 }, () => `${url}/a.txt?x`);
  const codes = await curl('-w', '%{http_code} %{num_connects}\n', ...many.flatMap((one) => ['-o', '/dev/null', one]));
  assert.equal(codes, `200 1\n${'200 0\n'.repeat(39)}`);
  assert.equal([...tally.refused.keys()].length, 0);
});

test('curl sends bodies that it must be asked for, in chunks, and large ones', { skip: missing('curl') }, async (context) => {
  const root = folder(context);
  const file = join(root, 'body');
  const content = randomBytes(3_000_000);
  writeFileSync(file, content);
  const port = await served(context, (request, response) => {
    const sum = createHash('sha256');
    request.on('data', (bytes: Buffer) => sum.update(bytes));
    request.on('end', () => response.end(`${sum.digest('hex')} ${request.headers['transfer-encoding'] ?? request.headers['content-length']}`));
  });
  const { url } = await stage(context, [port]);
  const curl = async (...args: string[]): Promise<string> => (await run('curl', ['-sS', '--max-time', '20', ...args])).stdout;
  assert.equal(await curl('-T', file, `${url}/`), `${hash(content)} 3000000`);
  assert.equal(await curl('-T', file, '-H', 'Transfer-Encoding: chunked', `${url}/`), `${hash(content)} chunked`);
  assert.equal(await curl('-H', 'Expect: 100-continue', '--data-binary', `@${file}`, `${url}/`), `${hash(content)} 3000000`);
  assert.equal(await curl('-F', `file=@${file}`, `${url}/`, '-o', '/dev/null', '-w', '%{http_code}'), '200');
});

test("undici's pool, pipelining, sees no failure while connections end on both sides", async (context) => {
  let count = 0;
  const port = await served(context, (request, response) => {
    // Some upstream connections end with their answer.
    if (++count % 17 === 0) response.setHeader('Connection', 'close');
    request.resume().on('end', () => response.end(request.url));
  });
  const { url, settled, transport } = await stage(context, [port], { transport: { lifetime: { maxRequests: 50, maxRequestsJitter: 0.2 } } });
  const pool = new Pool(url, { connections: 8, pipelining: 4 });
  let left = 2_000;
  const work = async (): Promise<void> => {
    while (left-- > 0) {
      const path = `/${left}`;
      const { statusCode, body } = await pool.request({ path, method: left % 5 === 0 ? 'PUT' : 'GET', ...(left % 5 === 0 ? { body: 'some' } : {}) });
      assert.equal(statusCode, 200);
      assert.equal(await body.text(), path);
    }
  };
  await Promise.all(Array.from({ length: 32 }, work));
  await pool.close();
  assert.ok(transport.goodbyes.length >= 30, `${transport.goodbyes.length} connections reached their limit`);
  await settled();
});

test("Python's server, which ends each connection, and its client", { skip: missing('python3') }, async (context) => {
  const root = folder(context);
  const content = randomBytes(200_000);
  writeFileSync(join(root, 'file'), content);
  const port = await nobody();
  await started(context, ['python3', '-m', 'http.server', String(port), '--bind', '127.0.0.1', '--directory', root], port);
  const { url, settled } = await stage(context, [port]);
  const program = [
    'import http.client, hashlib, sys',
    `c = http.client.HTTPConnection(sys.argv[1], timeout=10)`,
    'for _ in range(20):',
    "    c.request('GET', '/file'); r = c.getresponse(); print(r.status, hashlib.sha256(r.read()).hexdigest())",
    'c.close()',
  ];
  const { stdout } = await run('python3', ['-c', program.join('\n'), url.slice(7)]);
  assert.equal(stdout, `200 ${hash(content)}\n`.repeat(20));
  await settled();
});

test('wrk asks tens of thousands of times without an error, while upstreams come and go', { skip: missing('wrk', '-v') }, async (context) => {
  const a = await served(context, (_, response) => void response.end('a'));
  const b = await served(context, (_, response) => void response.end('b'));
  const { url, settled, group, tally } = await stage(context, [a, await nobody(), b], { group: { retries: 2 } });
  const flapping = setInterval(() => {
    group.upstreams[0].draining = !group.upstreams[0].draining;
    group.lose(group.upstreams[0], 'draining');
  }, 100);
  const { stdout } = await run('wrk', ['-t1', '-c50', '-d2s', url]);
  clearInterval(flapping);
  assert.doesNotMatch(stdout, /Socket errors|Non-2xx/, stdout);
  assert.ok(tally.retries > 100);
  await until(() => group.upstreams.every(({ active }) => active === 0), 'nothing is carried');
  await settled();
});
