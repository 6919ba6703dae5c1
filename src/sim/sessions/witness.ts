// A client of the simulation that takes down for the judge what it sends and gets, and for the end what it still waits for.
import { Client } from '../../client/client.ts';
import { ClientError } from '../../client/errors.ts';
import type { ClientSettings } from '../../client/options.ts';
import type { Message, Subscription } from '../../client/streams.ts';
import type { Judge, Outcome } from '../../judge/judge.ts';
import type { Position } from '../../protocol/frames.ts';

/** What clients and nodes tell the judge: each message names its publisher and its number, so that nobody has to be believed. */
export class Notes {
  readonly judge: Judge;
  readonly #epochs = new Map<string, number>();

  constructor(judge: Judge) {
    this.judge = judge;
  }

  place({ epoch, offset }: Position): { readonly epoch: number; readonly offset: number } {
    const known = this.#epochs.get(epoch) ?? this.#epochs.size + 1;
    this.#epochs.set(epoch, known);
    return { epoch: known, offset };
  }
}

export interface WitnessOptions {
  readonly name: number;
  readonly settings: ClientSettings;
  readonly notes: Notes;
  readonly topicOf: (stream: number) => string;
  readonly mayPublish: (stream: number) => boolean;
  /** Streams of the inbox and of everybody. */
  readonly inbox: number;
  readonly everybody: number;
}

/** What no publisher is called. */
const NOBODY = 0xfffffffe;

export class Witness {
  readonly name: number;
  readonly client: Client;
  /** Publishes and requests whose promises are open. */
  waiting = 0;
  /** Messages whose fate the client could not tell. */
  undecided = 0;
  gaps = 0;
  /** By topic, of those that it follows now. */
  readonly subscriptions: Map<number, Subscription> = new Map();
  /** What was wrong, in words. */
  complaint: string | null = null;
  /** It closed its client. */
  isDone = false;
  readonly #options: WitnessOptions;
  readonly #sent = new Map<number, number>();
  #asked = 0;

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.name = options.name;
    this.client = new Client(options.settings);
    this.#watch(options.inbox, this.client.inbox);
    this.#watch(options.everybody, this.client.everybody);
    this.client.onError((error) => error.code === 'badValue' && this.complain(`told ${error.message}`));
  }

  complain(what: string): void {
    this.complaint ??= `client ${this.name}: ${what}`;
  }

  /** Visible to others; begins with the last `history` messages. */
  follow(stream: number, history: number): void {
    if (this.isDone || this.subscriptions.has(stream)) return;
    const subscription = this.client.subscribe(this.#options.topicOf(stream), { presence: true, history });
    this.subscriptions.set(stream, subscription);
    this.#watch(stream, subscription);
  }

  leave(stream: number): void {
    const subscription = this.subscriptions.get(stream);
    if (subscription === undefined) return;
    subscription.stop();
    this.subscriptions.delete(stream);
    this.#options.notes.judge.unsubscribe(stream, this.name);
  }

  publish(stream: number): void {
    if (this.isDone) return;
    const { notes, topicOf, mayPublish } = this.#options;
    const number = (this.#sent.get(stream) ?? 0) + 1;
    this.#sent.set(stream, number);
    notes.judge.send(stream, this.name, number);
    const settle = (outcome: Outcome): void => {
      this.waiting--;
      if (outcome === 'refused' && mayPublish(stream)) this.complain('refused what it may do');
      if (outcome === 'acknowledged' && !mayPublish(stream)) this.complain('was told that what it may not do is done');
      notes.judge.settle(stream, this.name, { number, outcome });
    };
    this.waiting++;
    this.client.publish(topicOf(stream), { p: this.name, s: stream, n: number }).then(
      () => settle('acknowledged'),
      (error: unknown) => settle(this.#outcomeOf(error)),
    );
  }

  request(): void {
    if (this.isDone) return;
    const value = `${this.name}/${++this.#asked}`;
    this.waiting++;
    this.client.request('echo', value, { timeoutMs: 20_000 }).then(
      ({ code, data }) => {
        this.waiting--;
        if (code !== 503 && (code !== 200 || data !== value)) this.complain(`the reply to ${value} was ${code} ${String(data)}`);
      },
      () => void this.waiting--,
    );
  }

  close(): void {
    this.isDone = true;
    for (const stream of this.subscriptions.keys()) this.#options.notes.judge.unsubscribe(stream, this.name);
    this.#options.notes.judge.unsubscribe(this.#options.inbox, this.name);
    this.#options.notes.judge.unsubscribe(this.#options.everybody, this.name);
    this.subscriptions.clear();
    this.client.close();
  }

  #watch(stream: number, subscription: Subscription): void {
    const { notes } = this.#options;
    let noted = false;
    const isOurs = (): boolean => !this.isDone && (subscription.state.kind !== 'ended' || subscription.state.code !== 0);
    subscription.onState((state) => {
      if (state.kind === 'ended' && state.code !== 0 && isOurs()) this.complain(`${subscription.topic} ended with ${state.code} ${state.reason}`);
      if (noted || state.kind !== 'live' || subscription.position === null) return;
      noted = true;
      notes.judge.subscribe(stream, this.name, notes.place(subscription.position));
    });
    subscription.onGap(({ to }) => {
      if (!isOurs()) return this.complain(`a gap on ${subscription.topic}, which it has left`);
      this.gaps++;
      notes.judge.gap(stream, this.name, notes.place(to));
    });
    subscription.onMessage((message) => {
      if (!isOurs()) this.complain(`a message on ${subscription.topic}, which it has left`);
      this.#take(stream, message);
    });
  }

  #take(stream: number, { value, position }: Message): void {
    const { p, s, n } = value as { p?: unknown; s?: unknown; n?: unknown };
    const isOurs = typeof p === 'number' && typeof n === 'number' && s === stream;
    this.#options.notes.judge.deliver(stream, this.name, {
      position: this.#options.notes.place(position),
      publisher: isOurs ? p : NOBODY,
      number: isOurs ? n : 1,
    });
  }

  #outcomeOf(error: unknown): Outcome {
    if (!(error instanceof ClientError)) throw error;
    if (error.code === 'undecided' && !this.isDone) this.undecided++;
    if (error.code === 'undecided' || error.code === 'closed') return 'undecided';
    if (error.code !== 'refused') this.complain(`a message was not taken: ${error.message}`);
    return 'refused';
  }
}
