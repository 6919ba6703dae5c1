// Who of this node's sessions is present on which topics: entered and refreshed while they follow, taken out when they say so, and
// found out by whoever looks first when their node died. Joins and leaves are published as a stream of their own.
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Engine } from '../../engine/engine.ts';
import type { PresentMember } from '../../engine/streams.ts';
import { presenceTopic } from '../../protocol/frames.ts';
import { streamOf, type Hub } from '../hub/hub.ts';
import type { Session } from './session.ts';

export interface PresencePorts {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly log: Log;
  /** How long somebody who does not refresh stays, ms. */
  readonly ttlMs: number;
}

export class Presence {
  readonly #ports: PresencePorts;
  readonly #here = new Map<string, Set<Session>>();
  #timer: Timer | null = null;

  constructor(ports: PresencePorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#timer = this.#ports.clock.every(this.#ports.ttlMs / 3, () => void this.#refresh());
  }

  stop(): void {
    this.#timer?.cancel();
    this.#here.clear();
  }

  enter(session: Session, topic: string): void {
    const here = this.#here.get(topic) ?? new Set();
    this.#here.set(topic, here.add(session));
    void this.#reach(() => this.#enter(session, topic));
  }

  /** `topic`: that one; else all. `gone`: it said that it leaves, and does not come back elsewhere. */
  leave(session: Session, { topic, gone }: { readonly topic?: string; readonly gone: boolean }): void {
    for (const name of topic === undefined ? [...this.#here.keys()] : [topic]) {
      const here = this.#here.get(name);
      if (here?.delete(session) !== true) continue;
      if (here.size === 0) this.#here.delete(name);
      if (gone) void this.#reach(() => this.#leave(session, name));
    }
  }

  present(topic: string): Promise<readonly PresentMember[]> {
    return this.#ports.engine.streams.present(topic);
  }

  async #enter(session: Session, topic: string): Promise<void> {
    const { engine, ttlMs } = this.#ports;
    const member = { client: session.client, user: session.user };
    if (await engine.streams.enter(topic, { ...member, owner: session.owner }, ttlMs)) await this.#say(topic, { joined: member });
  }

  async #leave(session: Session, topic: string): Promise<void> {
    const member = { client: session.client, user: session.user };
    if (await this.#ports.engine.streams.leave(topic, session.client, session.owner)) await this.#say(topic, { left: member });
  }

  async #say(topic: string, what: object): Promise<void> {
    await this.#ports.hub.publish(streamOf(presenceTopic(topic), null), { json: JSON.stringify(what) });
  }

  async #refresh(): Promise<void> {
    await this.#reach(async () => {
      for (const [topic, here] of this.#here) await Promise.all([...here].map((session) => this.#enter(session, topic)));
      // Whoever is interested finds out who is gone, each of them once in the fleet.
      for (const topic of new Set([...this.#here.keys(), ...this.#ports.hub.watched()])) {
        for (const member of await this.#ports.engine.streams.lapsed(topic)) await this.#say(topic, { left: member });
      }
    });
  }

  async #reach(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      // The next refresh says it again; who is gone lapses.
      this.#ports.log.debug({ reason: error.message }, 'presence cannot be told now');
    }
  }
}
