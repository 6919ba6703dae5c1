// Who of this node's sessions is present on which topics: entered and refreshed while they follow, taken out when they say so, and
// found out by whoever looks first when their node died. The engine tells of each join and leave in the step that makes it.
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Engine } from '../../engine/engine.ts';
import { streamLimits, type Keep, type PresentMember } from '../../engine/streams.ts';
import { presenceTopic } from '../../protocol/frames.ts';
import { dataOf } from '../hub/follower.ts';
import { streamOf, type Hub } from '../hub/hub.ts';
import type { Session } from './session.ts';

export interface PresencePorts {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly clock: Clock;
  readonly log: Log;
  /** How long somebody who does not refresh stays, ms. */
  readonly ttlMs: number;
  /** What is kept of joins and leaves. */
  readonly keep: Keep;
}

export class Presence {
  readonly #ports: PresencePorts;
  /** With the turn in which each came. */
  readonly #here = new Map<string, Map<Session, number>>();
  #turns = 0;
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
    const here = this.#here.get(topic) ?? new Map<Session, number>();
    const turn = here.get(session) ?? ++this.#turns;
    this.#here.set(topic, here.set(session, turn));
    void this.#reach(() => this.#enter(session, topic, turn));
  }

  /** `topic`: that one; else all. `gone`: it said that it leaves, and does not come back elsewhere. */
  leave(session: Session, { topic, gone }: { readonly topic?: string; readonly gone: boolean }): void {
    for (const name of topic === undefined ? [...this.#here.keys()] : [topic]) {
      const here = this.#here.get(name);
      const turn = here?.get(session);
      if (here === undefined || turn === undefined) continue;
      here.delete(session);
      if (here.size === 0) this.#here.delete(name);
      if (gone) void this.#reach(() => this.#leave(session, name, turn));
    }
  }

  present(topic: string): Promise<readonly PresentMember[]> {
    return this.#ports.engine.streams.present(newsOf(topic), this.#ports.keep);
  }

  async #enter(session: Session, topic: string, turn: number): Promise<void> {
    const { engine, ttlMs, keep } = this.#ports;
    const member: PresentMember = { client: session.client, user: session.user };
    const [joined, left] = [entryOf({ joined: member }), entryOf({ left: member })];
    await engine.streams.enter({ ...member, stream: newsOf(topic), owner: session.owner, turn, joined, left, ttlMs, keep });
  }

  async #leave({ client, owner }: Session, topic: string, turn: number): Promise<void> {
    const { engine, keep } = this.#ports;
    await engine.streams.leave({ stream: newsOf(topic), client, owner, turn, keep });
  }

  async #refresh(): Promise<void> {
    await this.#reach(async () => {
      for (const [topic, here] of this.#here) await Promise.all([...here].map(([session, turn]) => this.#enter(session, topic, turn)));
      // Whoever is interested finds out who is gone, each of them once in the fleet.
      for (const topic of new Set([...this.#here.keys(), ...this.#ports.hub.watched()])) await this.#lapse(topic);
    });
  }

  async #lapse(topic: string): Promise<void> {
    const { engine, keep } = this.#ports;
    let told: number;
    do told = await engine.streams.lapse(newsOf(topic), keep);
    while (told === streamLimits.lapsedPerCall);
  }

  async #reach(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      // The next refresh enters; who is gone without that lapses.
      this.#ports.log.debug({ reason: error.message }, 'presence cannot be changed now');
    }
  }
}

const newsOf = (topic: string): string => streamOf(presenceTopic(topic), null);

const entryOf = (news: { readonly joined: PresentMember } | { readonly left: PresentMember }): string => dataOf({ json: JSON.stringify(news) });
