// A gateway's door with the connection tier behind it, and calls to its API as an application makes them.
import { createHmac } from 'node:crypto';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { silentLog } from '../../src/core/log.ts';
import { seeded } from '../../src/core/random.ts';
import type { Transport } from '../../src/connections/connection.ts';
import { memoryEngine } from '../../src/engine/memory.ts';
import type { RouteSettings } from '../../src/gateway/settings.ts';
import { afterThis, realClock } from '../../src/host/clock.ts';
import { realFetch } from '../../src/host/fetch.ts';
import { freshName } from '../../src/host/random.ts';
import { FleetNode } from '../../src/node/node.ts';
import { readNodeOptions } from '../../src/node/options.ts';
import { openTier, type Tier } from '../../src/tier/tier.ts';
import { listening } from '../transports/raw-http.ts';

export const SECRET = 'a secret of both sides';

export interface TierStage {
  /** Where WebSockets of both kinds come in. */
  readonly url: string;
  readonly tier: Tier;
  readonly node: FleetNode;
  call(method: string, path: string, body?: unknown, over?: { secret?: string; at?: number }): Promise<{ status: number; body: Record<string, unknown> }>;
}

export const macOf = (secret: string, text: string): string => createHmac('sha256', secret).update(text).digest('hex');

/** `application`: where it is told. */
export async function tierStage(t: TestContext, application: string, over: { maxCalls?: number; timeoutMs?: number } = {}): Promise<TierStage> {
  const engine = memoryEngine({ clock: realClock });
  const ports = { engine, clock: realClock, random: seeded(1), log: silentLog, incarnation: freshName(), sampleLoad: () => ({ eventLoopDelayMs: 0, cpu: 0 }) };
  const node = new FleetNode(readNodeOptions({ id: 'gate' }), ports);
  const settings = { url: application, secret: SECRET, listen: { host: '127.0.0.1', port: 0 }, timeoutMs: 2_000, maxCalls: 10, messageBytes: 65_536, ...over };
  const tier = await openTier(settings, { node, clock: realClock, log: silentLog, fetch: realFetch, freshName, defer: afterThis });
  const door = createServer();
  const route = { settings: { target: { kind: 'tier', tier: settings } } as unknown as RouteSettings, group: null };
  door.on('upgrade', (request, socket: Socket, rest: Buffer) => {
    const header = (name: string) => [request.headers[name]].flat()[0];
    const client = { address: '127.0.0.1', port: 1, localAddress: '', localPort: 0, secure: false, serverName: null, trusted: false };
    const connection = node.registry.accept({ protocol: 'http1', manner: 'asks' } as Transport, socket);
    const facts = { method: request.method ?? '', target: request.url ?? '', host: 'gate', header };
    tier.upgrade({ socket, client, connection, request: facts, route, user: null, head: Buffer.alloc(0), rest });
  });
  const doorPort = await listening(t, door);
  t.after(async () => {
    await tier.close();
    await node.close();
    await engine.close();
  });
  return {
    url: `ws://127.0.0.1:${doorPort}/room?x=1`,
    tier,
    node,
    async call(method, path, body, { secret = SECRET, at = Date.now() } = {}) {
      const text = body === undefined ? '' : JSON.stringify(body);
      const headers = { 'evenkeel-signature': `t=${at},v1=${macOf(secret, `${at}.${method}.${path}.${text}`)}` };
      const response = await fetch(`http://127.0.0.1:${tier.address.port}${path}`, { method, headers, ...(body === undefined ? {} : { body: text }) });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
  };
}
