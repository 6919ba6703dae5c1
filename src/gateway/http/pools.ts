// Connections to upstreams that wait for the next request: the last that came goes first, so that the others can idle out.
import type { Timer } from '../../core/clock.ts';
import type { Listening } from '../../core/event.ts';
import type { Group, ProxyPorts, Upstream } from '../ports.ts';
import type { UpstreamLink } from './upstream-link.ts';

const LOOK_MS = 1_000;

interface Pool {
  readonly group: Group;
  /** The one that waits longest comes first. */
  readonly idle: UpstreamLink[];
}

export class Pools {
  readonly #ports: ProxyPorts;
  readonly #pools = new Map<Upstream, Pool>();
  readonly #groups = new Map<Group, Listening>();
  readonly #timer: Timer;
  #isClosed = false;
  readonly #ended = (link: UpstreamLink): void => this.#remove(link);

  constructor(ports: ProxyPorts) {
    this.#ports = ports;
    this.#timer = ports.clock.every(LOOK_MS, () => this.#expire());
  }

  /** Connections that wait. */
  get size(): number {
    let size = 0;
    for (const { idle } of this.#pools.values()) size += idle.length;
    return size;
  }

  /** One that waits for a request; null: a fresh one is to be made. */
  take(upstream: Upstream): UpstreamLink | null {
    const idle = this.#pools.get(upstream)?.idle;
    let link = idle?.pop();
    // Its end is not told yet.
    while (link?.socket.destroyed === true) link = idle?.pop();
    if (link === undefined) return null;
    link.isReused = true;
    return link;
  }

  /** It has carried its request. It waits here for the next one, or ends. */
  give(link: UpstreamLink, group: Group): void {
    const { upstream, socket } = link;
    link.asker = null;
    const { keepAlive, sendProxy } = group.settings;
    // One that began with a PROXY header speaks for one client only.
    if (this.#isClosed || !link.keeps || socket.destroyed || upstream.draining || sendProxy !== null || keepAlive.max === 0) return void socket.destroy();
    const pool = this.#pools.get(upstream) ?? this.#open(upstream, group);
    if (pool.idle.length >= keepAlive.max) return void socket.destroy();
    link.onIdleEnd = this.#ended;
    link.resume();
    pool.idle.push(link);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer.cancel();
    for (const upstream of this.#pools.keys()) this.#empty(upstream);
    for (const listening of this.#groups.values()) listening.stop();
    this.#groups.clear();
  }

  #open(upstream: Upstream, group: Group): Pool {
    if (!this.#groups.has(group))
      this.#groups.set(
        group,
        group.onGone(({ upstream: gone }) => this.#empty(gone)),
      );
    const pool: Pool = { group, idle: [] };
    this.#pools.set(upstream, pool);
    return pool;
  }

  #empty(upstream: Upstream): void {
    const pool = this.#pools.get(upstream);
    if (pool === undefined) return;
    this.#pools.delete(upstream);
    for (const { socket } of pool.idle) socket.destroy();
    // A group that a reload took out is not to be held on to.
    for (const { group } of this.#pools.values()) if (group === pool.group) return;
    this.#groups.get(pool.group)?.stop();
    this.#groups.delete(pool.group);
  }

  #remove(link: UpstreamLink): void {
    const idle = this.#pools.get(link.upstream)?.idle;
    const at = idle?.indexOf(link) ?? -1;
    if (at >= 0) idle?.splice(at, 1);
  }

  #expire(): void {
    const now = this.#ports.clock.now();
    for (const [upstream, { idle, group }] of this.#pools) {
      const { idleMs } = group.settings.keepAlive;
      const fresh = idle.findIndex((link) => now - link.since < idleMs);
      for (const { socket } of idle.splice(0, fresh === -1 ? idle.length : fresh)) socket.destroy();
      if (idle.length === 0) this.#empty(upstream);
    }
  }
}
