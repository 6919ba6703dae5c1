// Serves the demo's page, its files and its live API, on loopback only. It refuses what other sites' pages may send here.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { EvenkeelError } from '../../core/errors.ts';
import type { Listen } from '../../core/event.ts';
import { readFiles, type StaticFile } from './static-files.ts';
import type { Snapshot } from './snapshot.ts';

/** What the page shows and does. */
export interface PageActions {
  readonly history: readonly Snapshot[];
  readonly onSnapshot: Listen<Snapshot>;
  has(id: string): boolean;
  /** Throws EvenkeelError when that is not possible now. */
  command(id: string, verb: 'kill' | 'start' | 'drain'): void;
  setRebalancing(on: boolean): Promise<void>;
}

const HOST = '127.0.0.1';
/** Pages that may look on at a time. */
const MOST_VIEWERS = 50;
/** A page that has not read so much is gone, or as good as gone. */
const MOST_UNREAD_BYTES = 4_000_000;
const MOST_BODY_BYTES = 1_000;

/** Throws EVENKEEL_PORT_TAKEN. Until `show` was called the page says that the demo is starting. */
export async function openPage(port: number): Promise<Page> {
  const page = new Page(port);
  await page.listen();
  return page;
}

class Page {
  readonly #server: Server;
  readonly #port: number;
  readonly #files: ReadonlyMap<string, StaticFile> = readFiles(new URL('../../../dashboard/', import.meta.url));
  #actions: PageActions | null = null;
  #viewers = 0;

  constructor(port: number) {
    this.#port = port;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => refuse(response, error));
    });
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error: NodeJS.ErrnoException) => {
        const what = error.code === 'EADDRINUSE' ? 'another process listens there' : error.message;
        reject(new EvenkeelError('EVENKEEL_PORT_TAKEN', `--port must be free on ${HOST}, got ${this.#port}: ${what}`, error));
      });
      this.#server.listen({ host: HOST, port: this.#port }, resolve);
    });
  }

  show(actions: PageActions): void {
    this.#actions = actions;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', headers } = request;
    const path = (request.url ?? '/').split('?')[0];
    if (!isOwn(headers.host, headers.origin)) return end(response, 403, 'this page is for this machine only\n');
    const actions = this.#actions;
    if (actions === null) return end(response, 503, 'the demo is starting\n', { 'retry-after': '1' });
    if (path === '/api/events' && method === 'GET') return this.#stream(actions, response);
    if (path.startsWith('/api/')) {
      if (method !== 'POST') return end(response, path === '/api/events' ? 405 : 404, 'no such thing\n');
      return act(actions, path, request, response);
    }
    if (method !== 'GET' && method !== 'HEAD') return end(response, 405, 'only GET\n');
    this.#file(path, response);
  }

  #stream(actions: PageActions, response: ServerResponse): void {
    if (this.#viewers >= MOST_VIEWERS) return end(response, 503, `at most ${MOST_VIEWERS} pages may look on\n`);
    this.#viewers++;
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', connection: 'keep-alive' });
    send(response, 'history', { snapshots: actions.history });
    const listening = actions.onSnapshot((snapshot) => {
      if (response.writableLength > MOST_UNREAD_BYTES) response.destroy();
      else send(response, 'snapshot', snapshot);
    });
    response.on('close', () => {
      this.#viewers--;
      listening.stop();
    });
  }

  #file(path: string, response: ServerResponse): void {
    const file = this.#files.get(path === '/' ? '/index.html' : path);
    if (file === undefined) {
      const built = this.#files.size > 0;
      return end(response, 404, built ? 'no such file\n' : 'the page is not built: run npm run build. The API is at /api/events.\n');
    }
    response.writeHead(200, {
      'content-type': file.type,
      'content-length': file.bytes.length,
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
    });
    response.end(file.bytes);
  }
}

export type { Page };

/** Only this machine's browsers, and only our own page: not another site that points its name or its forms here. */
function isOwn(host: string | undefined, origin: string | undefined): boolean {
  if (host === undefined || !/^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(host)) return false;
  return origin === undefined || origin === `http://${host}`;
}

async function act(actions: PageActions, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(request);
  if (path === '/api/rebalancing') {
    const on = wantedState(body);
    if (on === null) return end(response, 400, 'the body must be {"on":true} or {"on":false}\n');
    await actions.setRebalancing(on);
    return end(response, 204);
  }
  const [, id, verb] = /^\/api\/servers\/([^/]+)\/(kill|start|drain)$/.exec(path) ?? [];
  if (id === undefined || !actions.has(id)) return end(response, 404, 'no such server\n');
  actions.command(id, verb as 'kill' | 'start' | 'drain');
  end(response, 204);
}

function wantedState(body: string): boolean | null {
  try {
    const { on } = JSON.parse(body) as { readonly on?: unknown };
    return typeof on === 'boolean' ? on : null;
  } catch {
    // Not JSON at all, or null: the answer is the same.
    return null;
  }
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const bytes of request) {
    body += String(bytes);
    if (body.length > MOST_BODY_BYTES) throw new EvenkeelError('EVENKEEL_LIMIT', `the body must have at most ${MOST_BODY_BYTES} bytes`);
  }
  return body;
}

function send(response: ServerResponse, event: string, data: object): void {
  response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
}

function end(response: ServerResponse, status: number, text = '', headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, text === '' ? headers : { 'content-type': 'text/plain; charset=utf-8', ...headers });
  response.end(text);
}

/** 409: not possible now. Anything that is not ours is a mistake in this program, and ends it. */
function refuse(response: ServerResponse, error: unknown): void {
  if (!EvenkeelError.is(error)) {
    // The browser went away while it sent its request.
    if (response.destroyed) return;
    throw error;
  }
  end(response, 409, `${error.message}\n`);
}
