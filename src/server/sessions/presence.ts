// Who of this node's sessions is present on which topics: entered and refreshed while they follow, taken out when they say so, and
// found out by whoever looks first when their node died. Joins and leaves are published as a stream of their own.
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Engine } from '../../engine/engine.ts';
import { streamLimits, type PresentMember } from '../../engine/streams.ts';
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

/** `doubtful`: it came, and the engine did not say whether that was told: then it is told again. */
type Stage = 'new' | 'doubtful' | 'told';

/** Leaves that wait to be told: what is beyond is not told. */
const UNTOLD = 10_000;

export class Presence {
  readonly #ports: PresencePorts;
  readonly #here = new Map<string, Map<Session, Stage>>();
  /** They left, as far as is known, and nobody was told. */
  #untold: { readonly topic: string; readonly member: PresentMember }[] = [];
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
    this.#untold = [];
  }

  enter(session: Session, topic: string): void {
    const here = this.#here.get(topic) ?? new Map<Session, Stage>();
    this.#here.set(topic, here.set(session, 'new'));
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
    const here = this.#here.get(topic);
    const stage = here?.get(session);
    let isTold = stage === 'told';
    try {
      const isNew = await engine.streams.enter(topic, { ...member, owner: session.owner }, ttlMs);
      isTold &&= !isNew;
      if (isNew || stage === 'doubtful') await this.#say(topic, { joined: member });
      isTold = true;
    } finally {
      if (here?.has(session) === true) here.set(session, isTold ? 'told' : 'doubtful');
    }
  }

  async #leave(session: Session, topic: string): Promise<void> {
    const member = { client: session.client, user: session.user };
    try {
      if (await this.#ports.engine.streams.leave(topic, session.client, session.owner)) await this.#say(topic, { left: member });
    } catch (error) {
      this.#tellLater(topic, member);
      throw error;
    }
  }

  async #say(topic: string, what: object): Promise<void> {
    await this.#ports.hub.publish(streamOf(presenceTopic(topic), null), { json: JSON.stringify(what) });
  }

  async #refresh(): Promise<void> {
    await this.#reach(async () => {
      for (const [topic, here] of this.#here) await Promise.all([...here.keys()].map((session) => this.#enter(session, topic)));
      await this.#tellUntold();
      // Whoever is interested finds out who is gone, each of them once in the fleet.
      for (const topic of new Set([...this.#here.keys(), ...this.#ports.hub.watched()])) {
        await this.#tellLapsed(topic);
      }
    });
  }

  #tellLater(topic: string, member: PresentMember): void {
    if (this.#untold.length < UNTOLD) this.#untold.push({ topic, member });
  }

  /** Unless they are back, or never left. */
  async #tellUntold(): Promise<void> {
    const untold = this.#untold;
    this.#untold = [];
    try {
      for (let next = untold[0]; next !== undefined; next = untold[0]) {
        const { topic, member } = next;
        const present = await this.#ports.engine.streams.present(topic);
        const isUnknown = present.length >= streamLimits.namesPerCall || present.some(({ client }) => client === member.client);
        if (!isUnknown) await this.#say(topic, { left: member });
        untold.shift();
      }
    } finally {
      this.#untold.push(...untold);
    }
  }

  /** What `lapsed` has named it names no more. */
  async #tellLapsed(topic: string): Promise<void> {
    const gone = [...(await this.#ports.engine.streams.lapsed(topic))];
    try {
      for (; gone.length > 0; gone.shift()) await this.#say(topic, { left: gone[0] });
    } finally {
      for (const member of gone) this.#tellLater(topic, member);
    }
  }

  async #reach(call: () => Promise<void>): Promise<void> {
    try {
      await call();
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      // The next refresh says it; who is gone without that lapses.
      this.#ports.log.debug({ reason: error.message }, 'presence cannot be told now');
    }
  }
}
