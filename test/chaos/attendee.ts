// A client that lets itself be seen on a topic, comes and goes, asks who is there, and makes the same up from joins and leaves. What it
// follows and is answered goes to a judge.
import { ClientError, type Client, type Message, type Subscription } from '../../src/client/node/index.ts';
import type { PresenceEvent } from '../../src/judge/presence-judge.ts';
import type { Present } from '../../src/protocol/frames.ts';

/** All that ever happened: more than nodes keep. */
const HISTORY = 1_000_000;

export interface Following {
  readonly follower: number;
  readonly hear: (event: PresenceEvent) => void;
}

export class Attendee {
  readonly #client: Client;
  readonly #topic: string;
  /** Null: it does not follow joins and leaves. */
  readonly #following: Following | null;
  /** Who came and did not leave; null when it does not follow that, or was told that it missed something. */
  #followed: Set<string> | null = null;
  /** Joins, leaves and gaps; null before it follows them. */
  #told: number | null = null;
  #subscription: Subscription | null = null;
  #asking: Promise<readonly string[] | null> | null = null;

  constructor(client: Client, topic: string, following: Following | null) {
    this.#client = client;
    this.#topic = topic;
    this.#following = following;
    this.turn();
    if (following !== null) this.#follow(following);
  }

  /** It leaves, or comes back. */
  turn(): void {
    this.#subscription?.stop();
    this.#subscription = this.#subscription === null ? this.#client.subscribe(this.#topic, { presence: true }) : null;
  }

  get follows(): boolean {
    return this.#following !== null;
  }

  /** Its public name; null when it is not there. */
  get name(): string | null {
    return this.#subscription === null ? null : (this.#client.identity?.client ?? null);
  }

  get followed(): readonly string[] | null {
    return this.#followed === null ? null : [...this.#followed];
  }

  /** Who is there, as its node answers; null when that failed. One question at a time: a second one would get the answer to the first. */
  ask(): Promise<readonly string[] | null> {
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = null)));
  }

  async #ask(): Promise<readonly string[] | null> {
    const after = this.#told;
    try {
      const names = (await this.#client.presence(this.#topic)).map(({ client }) => client);
      if (after !== null) this.#following?.hear({ kind: 'listed', follower: this.#following.follower, names, after });
      return names;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return null;
    }
  }

  #follow({ follower, hear }: Following): void {
    const news = this.#client.subscribe(`@presence/${this.#topic}`, { history: HISTORY }, ({ value, position }: Message) => {
      const { joined, left } = value as { readonly joined?: Present; readonly left?: Present };
      if (joined !== undefined) this.#followed?.add(joined.client);
      if (left !== undefined) this.#followed?.delete(left.client);
      this.#told = (this.#told ?? 0) + 1;
      hear({ kind: 'told', follower, position, client: (joined ?? left)?.client ?? '', isHere: joined !== undefined });
    });
    news.onState((state) => {
      if (this.#told !== null || state.kind !== 'live' || news.position === null) return;
      this.#followed = new Set();
      this.#told = 0;
      hear({ kind: 'followed', follower, position: news.position });
    });
    news.onGap(({ to }) => {
      this.#followed = null;
      if (this.#told === null) return;
      this.#told++;
      hear({ kind: 'gap', follower, position: to });
    });
  }
}
