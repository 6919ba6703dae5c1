// A client that lets itself be seen on a topic, comes and goes, asks who is there, and makes the same up from joins and leaves.
import { ClientError, type Client, type Message, type Subscription } from '../../src/client/node/index.ts';
import type { Present } from '../../src/protocol/frames.ts';

/** All that ever happened: more than nodes keep. */
const HISTORY = 1_000_000;

export class Attendee {
  readonly #client: Client;
  readonly #topic: string;
  /** Who came and did not leave; null when it does not follow that, or was told that it missed something. */
  #followed: Set<string> | null = null;
  #subscription: Subscription | null = null;

  constructor(client: Client, topic: string, { follows }: { readonly follows: boolean }) {
    this.#client = client;
    this.#topic = topic;
    this.turn();
    if (follows) this.#follow();
  }

  /** It leaves, or comes back. */
  turn(): void {
    this.#subscription?.stop();
    this.#subscription = this.#subscription === null ? this.#client.subscribe(this.#topic, { presence: true }) : null;
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
    try {
      return (await this.#client.presence(this.#topic)).map(({ client }) => client);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return null;
    }
  }

  #follow(): void {
    this.#followed = new Set();
    const news = this.#client.subscribe(`@presence/${this.#topic}`, { history: HISTORY }, ({ value }: Message) => {
      const { joined, left } = value as { readonly joined?: Present; readonly left?: Present };
      if (joined !== undefined) this.#followed?.add(joined.client);
      if (left !== undefined) this.#followed?.delete(left.client);
    });
    news.onGap(() => (this.#followed = null));
  }
}
