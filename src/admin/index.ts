/**
 * The admin API of a node: `const admin = await serveAdmin(node, { port: 9090 })` answers `/api/...`, `/metrics` and the
 * probes on a port of its own, on this machine alone unless a token is set.
 *
 * @module
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { showAddress } from '../core/address.ts';
import { EvenkeelError } from '../core/errors.ts';
import { shown } from '../core/options.ts';
import { listening } from '../host/listen.ts';
import { adminApi } from './api.ts';
import { Metrics } from './metrics.ts';
import { nodeSource, type AdminNode, type NodeSource } from './node-source.ts';
import { readAdminOptions, type AdminOptions, type AdminSettings } from './options.ts';
import type { Source } from './source.ts';

export type { AdminNode } from './node-source.ts';
export type { AdminOptions } from './options.ts';
export type { ConnectionsPage, CoordinationFacts, DrainBegun, Fleet, NodeFacts, OwnNode, PageQuery, PlanView, RebalancingChange, Source } from './source.ts';

/** An admin API that listens. */
export interface Admin extends AsyncDisposable {
  /** Where it answers, such as `http://127.0.0.1:9090`. */
  readonly address: string;
  readonly port: number;
  /** Stops listening and ends the connections to the API. The node, or the source, stays yours. Twice is once. */
  close(): Promise<void>;
}

/**
 * Serves the admin API of a node, or of a source of your own. Rejects with EVENKEEL_BAD_OPTION or EVENKEEL_PORT_TAKEN,
 * and then nothing was started.
 */
export async function serveAdmin(of: AdminNode | Source, options: AdminOptions): Promise<Admin> {
  const settings = readAdminOptions(options);
  // From JavaScript anything may come, a promise of a gateway above all.
  if (typeof of !== 'object' || of === null || !('node' in of || 'own' in of)) {
    const got = (of as unknown) instanceof Promise ? 'a promise: await it first' : shown(of);
    throw new EvenkeelError('EVENKEEL_BAD_OPTION', `serveAdmin() must be given what evenkeel() or openGateway() returned, or a source, got ${got}`);
  }
  const made = 'node' in of ? nodeSource(of) : null;
  const source: Source = made ?? (of as Source);
  const { own, gateway = null } = source;
  try {
    const metrics =
      own === null
        ? null
        : new Metrics(() => own.facts(), { processMetrics: settings.processMetrics, gateway: gateway === null ? null : () => gateway.facts() });
    const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, adminApi({ source, settings, metrics }));
    server.maxConnections = CONNECTIONS;
    const { host, port } = settings;
    await listening(server, { what: 'admin.host and admin.port', host, port }, () => server.listen({ host, port }));
    server.on('error', (error) => source.log.warn({ err: error }, 'the admin API could not accept a connection'));
    return new Listening(server, made, settings);
  } catch (error) {
    await made?.close();
    throw error;
  }
}

/** A caller that takes longer to send a command is stuck; the limit on connections keeps the node's file descriptors. */
const REQUEST_MS = 10_000;
const CONNECTIONS = 256;

class Listening implements Admin {
  readonly address: string;
  readonly port: number;
  readonly #server: Server;
  readonly #made: NodeSource | null;
  #closed: Promise<void> | null = null;

  constructor(server: Server, made: NodeSource | null, settings: AdminSettings) {
    this.#server = server;
    this.#made = made;
    this.port = (server.address() as AddressInfo).port;
    this.address = `http://${showAddress({ host: settings.host, port: this.port })}`;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => void this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    await this.#made?.close();
  }
}
