// A server of HTTP/2 in a process of its own, for stories in which it restarts: told to stop it says GOAWAY, finishes what it has and
// exits; killed it just ends. It says which POSTs it has begun, so that one that came twice is seen.
import { fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import http2, { type IncomingHttpHeaders, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';

const ANSWER_MS = 5;

export class Http2Process implements AsyncDisposable {
  port: number = 0;
  /** How often each POST was begun, by its path. */
  readonly begun: Map<string, number> = new Map();
  #child: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();

  async start(): Promise<this> {
    const child = fork(fileURLToPath(import.meta.url), [String(this.port)]);
    this.#child = child;
    this.#exited = once(child, 'exit');
    const [port] = (await once(child, 'message')) as [number];
    this.port = port;
    child.on('message', (path: string) => this.begun.set(path, (this.begun.get(path) ?? 0) + 1));
    return this;
  }

  /** Resolves with how long it took to be gone, ms. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const from = performance.now();
    this.#child?.kill(signal);
    await this.#exited;
    return performance.now() - from;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGKILL');
  }
}

function answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const hash = createHash('sha256');
  stream.on('error', () => {});
  if (headers[':method'] === 'POST') process.send?.(headers[':path']);
  stream.on('data', (bytes: Buffer) => hash.update(bytes));
  stream.on('end', () => {
    setTimeout(() => {
      if (stream.destroyed) return;
      stream.respond({ ':status': 200 });
      stream.end(hash.digest('hex'));
    }, ANSWER_MS);
  });
}

function serve(port: number): void {
  const server = http2.createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on('error', () => {});
    session.on('close', () => sessions.delete(session));
  });
  server.on('stream', answer);
  server.listen(port, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('SIGTERM', () => {
    server.close(() => process.exit());
    for (const session of sessions) session.close();
  });
  process.on('disconnect', () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve(Number(process.argv[2]));
