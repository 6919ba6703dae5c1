// The endpoints of a Kubernetes service: lists its EndpointSlices, watches them from there on, goes on where a watch broke, and lists
// again when the server has forgotten that place (410). While the server cannot be reached the last list holds.
import { backoffMs } from '../../../core/backoff.ts';
import type { Timer } from '../../../core/clock.ts';
import { EvenkeelError } from '../../../core/errors.ts';
import { podOf, type Pod } from '../../../host/pod.ts';
import type { DiscoverySettings } from '../../settings.ts';
import { upstreamsOf, type EndpointSlice } from './endpoint-slices.ts';
import { ApiError, follow, get, type ApiPorts, type Call } from './kubernetes-api.ts';
import type { Deliver, Source, SourcePorts } from './source.ts';

type KubernetesSettings = Extract<DiscoverySettings, { readonly kind: 'kubernetes' }>;

interface List {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items?: readonly EndpointSlice[] | null;
}

interface WatchEvent {
  readonly type?: string;
  readonly object?: EndpointSlice & { readonly code?: number; readonly message?: string };
}

const PAGE = 500;
const LIST_MS = 30_000;
/** The server ends a watch after this, and a half more at most: so watches do not end together. */
const WATCH_S = 300;
/** Longer than the server takes to end it: then the connection is dead. */
const GRACE_MS = 15_000;
/** A watch that stands for so long is a good one, also if nothing happens. */
const LASTING_MS = 5_000;
const BACKOFF = { baseMs: 500, capMs: 30_000 };

export function kubernetesSource(settings: KubernetesSettings, deliver: Deliver, ports: SourcePorts, pod: Pod = podOf()): Source {
  const base = settings.api ?? pod.api;
  if (base === null || !/^https?:\/\/[^/]/.test(base)) {
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `api must be the URL of a Kubernetes API server outside of a pod, got ${base ?? 'nothing'}`);
  }
  const watcher = new Watcher(settings, deliver, { ...ports, api: { base, pod, clock: ports.clock } });
  void watcher.run();
  return { close: () => watcher.close() };
}

class Watcher {
  readonly #settings: KubernetesSettings;
  readonly #deliver: Deliver;
  readonly #ports: SourcePorts & { readonly api: ApiPorts };
  readonly #closed = new AbortController();
  readonly #path: string;
  readonly #slices = new Map<string, EndpointSlice>();
  /** Up to where everything was seen; null: it must be listed. */
  #version: string | null = null;
  #failures = 0;
  #told = '';

  constructor(settings: KubernetesSettings, deliver: Deliver, ports: SourcePorts & { readonly api: ApiPorts }) {
    this.#settings = settings;
    this.#deliver = deliver;
    this.#ports = ports;
    const selector = encodeURIComponent(`kubernetes.io/service-name=${settings.service}`);
    this.#path = `/apis/discovery.k8s.io/v1/namespaces/${encodeURIComponent(settings.namespace)}/endpointslices?labelSelector=${selector}`;
  }

  async run(): Promise<void> {
    while (!this.#closed.signal.aborted) {
      try {
        if (this.#version === null) await this.#list();
        else await this.#watch(this.#version);
      } catch (error) {
        await this.#rest(error as Error);
      }
    }
  }

  close(): void {
    this.#closed.abort();
  }

  async #list(): Promise<void> {
    const slices: EndpointSlice[] = [];
    let page = '';
    let version = '';
    do {
      const text = await get(
        this.#call(`${this.#path}&limit=${PAGE}${page}`, LIST_MS, () => {}),
        this.#ports.api,
      );
      const { items, metadata } = JSON.parse(text) as List;
      slices.push(...(items ?? []));
      checkCount(slices.length);
      version = metadata?.resourceVersion ?? '';
      page = (metadata?.continue ?? '') === '' ? '' : `&continue=${encodeURIComponent(metadata?.continue ?? '')}`;
    } while (page !== '');
    if (version === '') throw new Error('a list must have a resourceVersion, got none');
    this.#slices.clear();
    for (const slice of slices) this.#slices.set(slice.metadata?.name ?? '', slice);
    this.#version = version;
    this.#tell();
  }

  async #watch(version: string): Promise<void> {
    const { api, random } = this.#ports;
    const seconds = Math.round(WATCH_S * (1 + random.next() / 2));
    const path = `${this.#path}&watch=1&allowWatchBookmarks=true&resourceVersion=${encodeURIComponent(version)}&timeoutSeconds=${seconds}`;
    const begun = api.clock.now();
    let lasting: Timer | null = null;
    const opened = (): void => void (lasting = api.clock.after(LASTING_MS, () => this.#well()));
    try {
      await follow(this.#call(path, seconds * 1_000 + GRACE_MS, opened), api, (line) => this.#hear(JSON.parse(line) as WatchEvent));
    } finally {
      (lasting as Timer | null)?.cancel();
    }
    // A server that ends its watches at once is not asked at once again.
    if (api.clock.now() - begun < BACKOFF.baseMs) throw new Error('a watch must last, got its end at once');
  }

  #call(path: string, limitMs: number, opened: () => void): Call {
    return { path, limitMs, cancelled: this.#closed.signal, opened };
  }

  #hear({ type, object }: WatchEvent): void {
    if (this.#closed.signal.aborted) return;
    if (type === 'ERROR') throw new ApiError(object?.code ?? 0, object?.message ?? 'the watch failed');
    this.#well();
    const { name = '', resourceVersion } = object?.metadata ?? {};
    if (resourceVersion !== undefined) this.#version = resourceVersion;
    if (object === undefined || (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED')) return;
    if (type === 'DELETED') this.#slices.delete(name);
    else this.#slices.set(name, object);
    checkCount(this.#slices.size);
    this.#tell();
  }

  #tell(): void {
    if (this.#closed.signal.aborted) return;
    const listed = upstreamsOf(this.#slices, this.#settings.port);
    const text = JSON.stringify(listed);
    if (text === this.#told) return;
    this.#told = text;
    this.#deliver(listed);
  }

  #well(): void {
    if (this.#failures > LOUD) this.#ports.log.info(this.#facts(), 'the Kubernetes API server answers again');
    this.#failures = 0;
  }

  /** Waits before the next try, longer each time. */
  async #rest(error: Error): Promise<void> {
    if (this.#closed.signal.aborted) return;
    const { clock, random, log } = this.#ports;
    if (error instanceof ApiError && error.status === 410) this.#version = null;
    // A watch that breaks now and then is nothing to report.
    if (this.#failures === LOUD) {
      log.error({ ...this.#facts(), err: error }, `the endpoints of ${this.#settings.service} cannot be read: ${error.message}; the last list holds`);
    }
    const delayMs = backoffMs(BACKOFF, this.#failures++, random);
    const { signal } = this.#closed;
    await new Promise<void>((resolve) => {
      const timer = clock.after(delayMs, () => {
        signal.removeEventListener('abort', stop);
        resolve();
      });
      const stop = (): void => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener('abort', stop);
    });
  }

  #facts(): object {
    return { group: this.#ports.group, namespace: this.#settings.namespace, service: this.#settings.service };
  }
}

/** A slice has 100 endpoints unless told otherwise. */
const MOST_SLICES = 1_000;

function checkCount(slices: number): void {
  if (slices > MOST_SLICES) throw new Error(`a service must have at most ${MOST_SLICES} slices, got more`);
}

/** The failure in a row, counted from 0, that is reported. */
const LOUD = 1;
