// A client that takes down for the judge what it is told of who comes and goes on a topic, and what it is answered to who is there.
import type { Client } from '../../client/client.ts';
import { ClientError } from '../../client/errors.ts';
import type { PresenceEvent } from '../../judge/presence-judge.ts';
import { presenceTopic, type Present } from '../../protocol/frames.ts';

/** All that ever happened: more than nodes keep. */
const HISTORY = 1_000_000;

export interface PresenceWitnessOptions {
  readonly client: Client;
  readonly topic: string;
  /** Of the witness, for the judge. */
  readonly name: number;
  readonly hear: (event: PresenceEvent) => void;
}

export class PresenceWitness {
  readonly #options: PresenceWitnessOptions;
  /** Joins, leaves and gaps; null before it follows them. */
  #told: number | null = null;
  #asking: Promise<readonly string[] | null> | null = null;

  constructor(options: PresenceWitnessOptions) {
    const { client, topic, name: follower, hear } = options;
    this.#options = options;
    const news = client.subscribe(presenceTopic(topic), { history: HISTORY }, ({ value, position }) => {
      const { joined, left } = value as { readonly joined?: Present; readonly left?: Present };
      this.#told = (this.#told ?? 0) + 1;
      hear({ kind: 'told', follower, position, client: (joined ?? left)?.client ?? '', isHere: joined !== undefined });
    });
    news.onState((state) => {
      if (this.#told !== null && state.kind === 'ended') hear({ kind: 'ended', follower });
      if (this.#told !== null || state.kind !== 'live' || news.position === null) return;
      this.#told = 0;
      hear({ kind: 'followed', follower, position: news.position });
    });
    news.onGap(({ to }) => {
      if (this.#told === null) return;
      this.#told++;
      hear({ kind: 'gap', follower, position: to });
    });
  }

  /** Who is there; null when that failed. One question at a time: a second one would get the answer to the first. */
  ask(): Promise<readonly string[] | null> {
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = null)));
  }

  async #ask(): Promise<readonly string[] | null> {
    const { client, topic, name: follower, hear } = this.#options;
    const after = this.#told;
    try {
      const names = (await client.presence(topic)).map((present) => present.client);
      if (after !== null) hear({ kind: 'listed', follower, names, after });
      return names;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return null;
    }
  }
}
