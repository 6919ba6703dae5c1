// A client of the SDK that takes down everything that a judge needs: what it sent and how that ended, what it got, and where it
// was told of a gap. Each message names its publisher, its stream and its number there, so that no part of the fleet has to be believed.
import { connect, ClientError, type Client, type ClientOptions, type Message, type Subscription } from '../../client/node/index.ts';
import type { Outcome } from '../../judge/judge.ts';
import type { Notebook } from './notes.ts';

export interface WitnessOptions {
  readonly client: ClientOptions;
  /** Of the witness, as publisher and as subscriber. */
  readonly name: number;
  readonly notebook: Notebook;
  readonly topicOf: (stream: number) => string;
  /** Characters that are added to each message. */
  readonly padding?: number | undefined;
}

/** What no publisher is called: a message that is not one of ours. */
const NOBODY = 0xfffffffe;

export class Witness {
  readonly client: Client;
  readonly #options: WitnessOptions;
  readonly #sent = new Map<number, number>();
  readonly #subscriptions = new Map<number, Subscription>();
  readonly #padding: string;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#padding = 'x'.repeat(options.padding ?? 0);
    this.client = connect(options.client);
  }

  /** Whether everything that it subscribed to was answered at least once. */
  get isThere(): boolean {
    return [...this.#subscriptions.values()].every(({ position }) => position !== null);
  }

  subscribe(stream: number): void {
    const { notebook, name, topicOf } = this.#options;
    const subscription = this.client.subscribe(topicOf(stream), {}, (message) => this.#take(stream, message));
    this.#subscriptions.set(stream, subscription);
    let noted = false;
    subscription.onState((state) => {
      if (noted || state.kind !== 'live' || subscription.position === null) return;
      noted = true;
      notebook.subscribe(stream, name, subscription.position);
    });
    subscription.onGap(({ to }) => notebook.gap(stream, name, to));
  }

  unsubscribe(stream: number): void {
    this.#subscriptions.get(stream)?.stop();
    this.#subscriptions.delete(stream);
    this.#options.notebook.unsubscribe(stream, this.#options.name);
  }

  /** Resolves when it is known how it ended; never rejects. */
  async publish(stream: number): Promise<Outcome> {
    const { notebook, name, topicOf } = this.#options;
    const number = (this.#sent.get(stream) ?? 0) + 1;
    this.#sent.set(stream, number);
    notebook.send(stream, name, number);
    const outcome = await this.client
      .publish(topicOf(stream), { p: name, s: stream, n: number, x: this.#padding })
      .then(() => 'acknowledged' as const, inWords);
    notebook.settle(stream, name, { number, outcome });
    return outcome;
  }

  close(): void {
    this.client.close();
  }

  #take(stream: number, { value, position }: Message): void {
    const { notebook, name } = this.#options;
    const { p, s, n } = value as { p?: unknown; s?: unknown; n?: unknown };
    const isOurs = typeof p === 'number' && typeof n === 'number' && s === stream;
    notebook.deliver(stream, name, { place: position, publisher: isOurs ? p : NOBODY, number: isOurs ? n : 1 });
  }
}

/** What the error of a publish means for the message. */
function inWords(error: unknown): Outcome {
  if (!(error instanceof ClientError)) throw error;
  return error.code === 'undecided' || error.code === 'closed' ? 'undecided' : 'refused';
}
