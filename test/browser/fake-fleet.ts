// A fleet of the imagination for the dashboard's test: servers that die, come back and even out, half a second a step.
// No dice: the same steps give the same figures.
import type { FakeSnapshot, FakeServer } from './fake-demo.ts';

const STEP_S = 0.5;
const PACE_PER_S = 133;
const SETTLE_S = 5;
const START_S = 1.5;

interface Server extends FakeServer {
  upAt: number;
}

export class FakeFleet {
  readonly clients: number;
  readonly servers: Server[];
  t = 0;
  rebalancing: 'on' | 'off' = 'on';
  #moves = 0;
  #movesPerS = 0;
  #requests = 0;
  #failed = 0;
  #changedAt = -60;
  #moving = false;
  #events: { t: number; text: string }[] = [];

  constructor(servers = 5, clients = 2_000) {
    this.clients = clients;
    this.servers = Array.from({ length: servers }, (_, i) => ({
      id: `s${i + 1}`,
      state: 'up' as const,
      pid: 4_210 + i,
      connections: Math.floor(clients / servers) + [3, -2, 0, 1, -2][i % 5],
      target: null,
      rotation: 'in' as const,
      upAt: 0,
    }));
    this.say(`${servers} servers up`);
  }

  say(text: string): void {
    this.#events.push({ t: this.t, text });
  }

  /** False when the server's state does not allow it. */
  act(server: Server, verb: string): boolean {
    const alive = server.state === 'up' || server.state === 'draining';
    if (verb === 'start' ? server.state !== 'down' : verb === 'drain' ? server.state !== 'up' : server.state === 'down') return false;
    if (verb === 'drain' && this.#up().length === 1) return false;
    if (verb === 'kill') {
      if (alive) this.#failed += Math.round(server.connections / 80);
      Object.assign(server, { state: 'down', pid: null, connections: 0, target: null, rotation: 'down' });
      this.say(`${server.id} was killed`);
    } else if (verb === 'start') {
      Object.assign(server, { state: 'starting', pid: 5_000 + Math.round(this.t), upAt: this.t + START_S });
      this.say(`${server.id} starts`);
    } else {
      Object.assign(server, { state: 'draining', rotation: 'out' });
      this.say(`${server.id} drains`);
    }
    this.#changedAt = this.t;
    return true;
  }

  step(): void {
    this.t += STEP_S;
    for (const server of this.servers) {
      if (server.state !== 'starting' || this.t < server.upAt) continue;
      Object.assign(server, { state: 'up', rotation: 'in' });
      this.#changedAt = this.t;
      this.say(`${server.id} is up`);
    }
    this.#land();
    this.#movesPerS = this.rebalancing === 'on' && this.t - this.#changedAt >= SETTLE_S ? this.#move() : 0;
    this.#requests += this.clients * STEP_S;
  }

  snapshot(): FakeSnapshot {
    const up = this.#up();
    const connected = this.servers.reduce((sum, server) => sum + server.connections, 0);
    const target = up.length === 0 ? null : this.clients / up.length;
    for (const server of this.servers) server.target = server.state === 'up' ? target : server.state === 'draining' ? 0 : null;
    const settling = this.t - this.#changedAt < SETTLE_S;
    return {
      t: this.t,
      protocol: 'http',
      clients: this.clients,
      connected,
      servers: this.servers.map((server) => ({ ...server })),
      imbalance: target === null ? null : Math.max(1, Math.max(...up.map((server) => server.connections)) / target),
      movesPerS: this.#movesPerS,
      moves: this.#moves,
      bounces: 0,
      requestsPerS: connected,
      requests: this.#requests,
      failedRequests: this.#failed,
      rebalancing: this.rebalancing,
      coordinator: up[0]?.id ?? null,
      plan: {
        state: this.#movesPerS > 0 ? 'moving' : this.rebalancing === 'off' || settling ? 'waiting' : 'idle',
        reason: this.rebalancing === 'off' ? 'paused' : settling ? 'settling' : null,
        inFlight: Math.round(this.#movesPerS * 0.9),
        pacePerS: this.#movesPerS > 0 ? PACE_PER_S : 0,
      },
      events: this.#events.slice(-20),
    };
  }

  #up(): Server[] {
    return this.servers.filter((server) => server.state === 'up');
  }

  /** Clients without a connection land on whoever is in rotation, within a second or so. */
  #land(): void {
    const inRotation = this.servers.filter((server) => server.rotation === 'in');
    const missing = this.clients - this.servers.reduce((sum, server) => sum + server.connections, 0);
    const landing = missing > 40 ? Math.ceil(missing * 0.6) : missing;
    inRotation.forEach((server, i) => {
      server.connections += Math.floor((landing + i) / inRotation.length);
    });
  }

  /** Moves from the full to the empty, and steps the full out of rotation meanwhile; how many a second. */
  #move(): number {
    const target = this.clients / Math.max(1, this.#up().length);
    const full = this.servers.filter((server) => server.state === 'draining' || server.connections > target * (this.#moving ? 1.005 : 1.1));
    const shed = Math.round(PACE_PER_S * STEP_S);
    for (const server of full) {
      const excess = Math.ceil(server.connections - (server.state === 'draining' ? 0 : target));
      const share = Math.min(excess, Math.ceil(shed / full.length));
      server.connections -= share;
      server.rotation = 'out';
      this.#moves += share;
    }
    for (const server of this.#up()) if (!full.includes(server)) server.rotation = 'in';
    if (this.#moving !== full.length > 0) this.say(full.length > 0 ? 'moving connections' : 'even again');
    this.#moving = full.length > 0;
    return full.length > 0 ? PACE_PER_S : 0;
  }
}
