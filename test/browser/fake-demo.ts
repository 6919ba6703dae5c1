// A small server that speaks the dashboard's contract (events, kill, start, drain, rebalancing) and serves the built page.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { FakeFleet } from './fake-fleet.ts';

export interface FakeServer {
  id: string;
  state: 'up' | 'starting' | 'draining' | 'down';
  pid: number | null;
  connections: number;
  target: number | null;
  rotation: 'in' | 'out' | 'down';
}

export interface FakeSnapshot {
  t: number;
  protocol: string;
  clients: number;
  connected: number;
  servers: FakeServer[];
  imbalance: number | null;
  movesPerS: number;
  moves: number;
  bounces: number;
  requestsPerS: number;
  requests: number;
  failedRequests: number;
  rebalancing: 'on' | 'off';
  coordinator: string | null;
  plan: { state: 'idle' | 'moving' | 'waiting'; reason: string | null; inFlight: number; pacePerS: number } | null;
  events: { t: number; text: string }[];
}

const types: Readonly<Record<string, string>> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' };

export class FakeDemo {
  fleet: FakeFleet = new FakeFleet();
  /** What the page posted: path and body. */
  readonly posts: { path: string; body: string }[] = [];
  readonly #folder: string;
  readonly #listeners = new Set<ServerResponse>();
  readonly #past: FakeSnapshot[] = [];
  #server: Server | null = null;
  #port = 0;
  /** Keeps lines open and says nothing on them. */
  silent = false;
  /** What a refused command is answered with, beside its status. */
  refusal = '';

  constructor(folder: string) {
    this.#folder = folder;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  /** On a free port; again on the same one when it was closed in between. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#answer(request, response));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  /** Lets half-seconds of the fleet's life pass, and tells the page of each. */
  pass(steps: number): void {
    for (let i = 0; i < steps; i++) {
      this.fleet.step();
      this.#past.push(this.fleet.snapshot());
      this.beat();
    }
  }

  /** Tells the page how things are, without any time passing. */
  beat(): void {
    if (this.silent) return;
    const now = `event: snapshot\ndata: ${JSON.stringify(this.fleet.snapshot())}\n\n`;
    for (const listener of this.#listeners) listener.write(now);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://demo').pathname;
    if (request.method === 'POST') return this.#act(path, request, response);
    if (path === '/api/events') return this.#follow(request, response);
    const file = path === '/' ? 'index.html' : normalize(path).slice(1);
    try {
      const body = await readFile(join(this.#folder, file));
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  }

  #follow(request: IncomingMessage, response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    if (this.silent) return;
    const snapshots = this.#past.filter((past) => Number.isInteger(past.t)).slice(-600);
    response.write(`event: history\ndata: ${JSON.stringify({ snapshots })}\n\n`);
    this.#listeners.add(response);
    request.once('close', () => this.#listeners.delete(response));
  }

  async #act(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk);
    this.posts.push({ path, body });
    if (path === '/api/rebalancing') {
      const { on } = JSON.parse(body) as { on: boolean };
      this.fleet.rebalancing = on ? 'on' : 'off';
      this.fleet.say(`rebalancing switched ${this.fleet.rebalancing}`);
      response.writeHead(204).end();
      return;
    }
    const [, id, verb] = /^\/api\/servers\/([^/]+)\/(kill|start|drain)$/.exec(path) ?? [];
    const server = this.fleet.servers.find((candidate) => candidate.id === id);
    const status = server === undefined || verb === undefined ? 404 : this.fleet.act(server, verb) ? 204 : 409;
    response.writeHead(status).end(status === 409 ? this.refusal : '');
  }
}
