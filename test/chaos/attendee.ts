// A client that lets itself be seen on a topic, comes and goes, asks who is there, and makes the same up from joins and leaves.
import { ClientError, type Client, type Subscription } from '../../src/client/node/index.ts';
import type { PresenceEvent } from '../../src/judge/presence-judge.ts';
import { PresenceWitness } from '../../src/sim/sessions/presence-witness.ts';

/** For whom joins, leaves and lists are taken down. */
export interface Following {
  readonly name: number;
  readonly hear: (event: PresenceEvent) => void;
}

export class Attendee {
  readonly #client: Client;
  readonly #topic: string;
  /** Null: it does not follow joins and leaves. */
  readonly #witness: PresenceWitness | null;
  /** Who came and did not leave; null when it does not follow that, or was told that it missed something. */
  #followed: Set<string> | null = null;
  #subscription: Subscription | null = null;

  constructor(client: Client, topic: string, following: Following | null) {
    this.#client = client;
    this.#topic = topic;
    this.turn();
    this.#witness = following && new PresenceWitness({ client, topic, name: following.name, hear: (event) => this.#hear(event, following) });
  }

  /** It leaves, or comes back. */
  turn(): void {
    this.#subscription?.stop();
    this.#subscription = this.#subscription === null ? this.#client.subscribe(this.#topic, { presence: true }) : null;
  }

  get follows(): boolean {
    return this.#witness !== null;
  }

  /** Its public name; null when it is not there. */
  get name(): string | null {
    return this.#subscription === null ? null : (this.#client.identity?.client ?? null);
  }

  get followed(): readonly string[] | null {
    return this.#followed === null ? null : [...this.#followed];
  }

  /** Who is there, as its node answers; null when that failed. */
  async ask(): Promise<readonly string[] | null> {
    if (this.#witness !== null) return this.#witness.ask();
    try {
      return (await this.#client.presence(this.#topic)).map(({ client }) => client);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return null;
    }
  }

  #hear(event: PresenceEvent, { hear }: Following): void {
    hear(event);
    if (event.kind === 'followed') this.#followed = new Set();
    else if (event.kind === 'gap') this.#followed = null;
    else if (event.kind === 'told') this.#followed?.[event.isHere ? 'add' : 'delete'](event.client);
  }
}
