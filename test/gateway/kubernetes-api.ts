// A Kubernetes API server of our own, as far as EndpointSlices go: discovery, lists in pages, watches from a resourceVersion with
// bookmarks, 410 for what is forgotten, tokens; and it can be cut, be silent, and fail. kubectl and Python's client are the judges of it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { EndpointSlice } from '../../src/gateway/upstreams/discovery/endpoint-slices.ts';

interface Stored {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly resourceVersion: string;
    readonly labels: Record<string, string>;
    readonly uid: string;
  };
}

interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: Stored;
}

interface Watch {
  readonly response: ServerResponse;
  readonly wanted: (object: Stored) => boolean;
}

export class FakeKubernetes {
  readonly #objects = new Map<string, Stored>();
  readonly #history: Change[] = [];
  readonly #watches = new Set<Watch>();
  readonly #sockets = new Set<Socket>();
  readonly #server: ReturnType<typeof createServer>;
  readonly #secure: boolean;
  #version = 100;
  #forgotten = 0;
  /** Every question, with its query. */
  readonly asked: string[] = [];
  /** The token that is wanted; null: none. */
  token: string | null = null;
  /** Answered to everything instead. */
  failing: number | null = null;
  /** Watches begin, and nothing comes. */
  mute = false;

  constructor(tls: ServerOptions | null = null) {
    this.#secure = tls !== null;
    const answer = (request: IncomingMessage, response: ServerResponse): void => this.#answer(request, response);
    this.#server = tls === null ? createServer(answer) : createSecureServer(tls, answer);
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async listen(port = 0): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `${this.#secure ? 'https' : 'http'}://127.0.0.1:${this.port}`;
  }

  get watching(): number {
    return this.#watches.size;
  }

  put(service: string, name: string, slice: Pick<EndpointSlice, 'endpoints' | 'ports'>): void {
    const type = this.#objects.has(name) ? 'MODIFIED' : 'ADDED';
    const labels = { 'kubernetes.io/service-name': service };
    const metadata = { name, namespace: 'default', resourceVersion: String(++this.#version), labels, uid: `uid-${name}` };
    const object = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata, addressType: 'IPv4', ...slice };
    this.#objects.set(name, object);
    this.#say({ version: this.#version, type, object });
  }

  delete(name: string): void {
    const before = this.#objects.get(name);
    if (before === undefined) throw new Error(`no slice ${name}`);
    this.#objects.delete(name);
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(++this.#version) } };
    this.#say({ version: this.#version, type: 'DELETED', object });
  }

  /** Time passes for others: the version grows, and watchers are told only that. */
  bookmark(): void {
    this.#version += 10;
    const metadata = { resourceVersion: String(this.#version), creationTimestamp: null };
    const object = { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', metadata, addressType: '', endpoints: null, ports: null };
    for (const { response } of this.#watches) response.write(`${JSON.stringify({ type: 'BOOKMARK', object })}\n`);
  }

  /** Watches from before now are answered with 410. */
  forget(): void {
    this.#forgotten = this.#version;
    this.#history.length = 0;
  }

  /** Tells the watchers what a server tells whose history ends under them. */
  expire(): void {
    this.forget();
    const object = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Expired', code: 410, message: 'too old resource version' };
    for (const { response } of this.#forgetWatches()) response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  /** Ends watches as their time limit does. */
  endWatches(): void {
    for (const { response } of this.#forgetWatches()) response.end();
  }

  /** Breaks every connection in the middle of whatever it does. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #forgetWatches(): Watch[] {
    const watches = [...this.#watches];
    this.#watches.clear();
    return watches;
  }

  #say(change: Change): void {
    this.#history.push(change);
    if (this.mute) return;
    for (const { response, wanted } of this.#watches) if (wanted(change.object)) response.write(lineOf(change));
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'http://api');
    this.asked.push(`${url.pathname}${url.search}`);
    if (this.failing !== null) return status(response, this.failing, 'InternalError');
    if (this.token !== null && request.headers.authorization !== `Bearer ${this.token}`) return status(response, 401, 'Unauthorized');
    const known = discovery[url.pathname];
    if (known !== undefined) return send(response, 200, known);
    if (!/^\/apis\/discovery\.k8s\.io\/v1\/(namespaces\/default\/)?endpointslices$/.test(url.pathname)) return status(response, 404, 'NotFound');
    const selector = url.searchParams.get('labelSelector');
    const wanted = (object: Stored): boolean =>
      selector === null || selector.split(',').every((one) => object.metadata.labels[one.split('=')[0]] === one.split('=')[1]);
    if (url.searchParams.has('watch')) this.#watch(url.searchParams, wanted, response);
    else this.#list(url.searchParams, wanted, response);
  }

  #list(query: URLSearchParams, wanted: (object: Stored) => boolean, response: ServerResponse): void {
    const all = [...this.#objects.values()].filter(wanted).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const from = Number(query.get('continue') ?? 0);
    const most = Number(query.get('limit') ?? 0) || all.length;
    const more = from + most < all.length ? { continue: String(from + most) } : {};
    const metadata = { resourceVersion: String(this.#version), ...more };
    send(response, 200, { kind: 'EndpointSliceList', apiVersion: 'discovery.k8s.io/v1', metadata, items: all.slice(from, from + most) });
  }

  #watch(query: URLSearchParams, wanted: (object: Stored) => boolean, response: ServerResponse): void {
    const from = Number(query.get('resourceVersion') ?? 0);
    if (from < this.#forgotten) return status(response, 410, 'Expired');
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    if (!this.mute) for (const change of this.#history) if (change.version > from && wanted(change.object)) response.write(lineOf(change));
    const watch = { response, wanted };
    this.#watches.add(watch);
    response.on('close', () => this.#watches.delete(watch));
  }
}

const lineOf = ({ type, object }: Change): string => `${JSON.stringify({ type, object })}\n`;

function send(response: ServerResponse, code: number, body: object): void {
  response.writeHead(code, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

const status = (response: ServerResponse, code: number, reason: string): void =>
  send(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', reason, code, message: reason });

const version = { groupVersion: 'discovery.k8s.io/v1', version: 'v1' };

/** What kubectl asks before it asks for anything. */
const discovery: Readonly<Record<string, object>> = {
  '/version': { major: '1', minor: '32', gitVersion: 'v1.32.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [{ name: 'discovery.k8s.io', versions: [version], preferredVersion: version }],
  },
  '/apis/discovery.k8s.io/v1': {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: 'discovery.k8s.io/v1',
    resources: [{ name: 'endpointslices', singularName: 'endpointslice', namespaced: true, kind: 'EndpointSlice', verbs: ['get', 'list', 'watch'] }],
  },
};
