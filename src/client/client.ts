// The client: does what the lifecycle decides, and brings frames from the links to streams, outbox and requests and back.
import type { Timer } from '../core/clock.ts';
import { Event, type Listen, type Listening } from '../core/event.ts';
import { EVERYBODY, frameLimits, INBOX, type ClientFrame, type Position, type Present, type ServerFrame, type Start } from '../protocol/frames.ts';
import { addressOf, locate } from './address.ts';
import { Endpoints, reasonOf } from './endpoints.ts';
import { ClientError, notJson, refusal } from './errors.ts';
import { Holes } from './holes.ts';
import { born, step, type ClientState, type Lifecycle, type LifecycleEffect, type LifecycleEvent } from './lifecycle.ts';
import type { LinkEnd } from './link.ts';
import type { ClientSettings } from './options.ts';
import { Outbox } from './outbox.ts';
import { Allowance, checkName, fromPayload, toPayload } from './payload.ts';
import { Questions } from './questions.ts';
import { Requests, type Reply } from './requests.ts';
import { Stream, Subscriber, surface, type Gap, type Message, type Subscription } from './streams.ts';
import type { Identity, Lost, Undecided } from './told.ts';
import { Wire } from './wire.ts';

export interface SubscribeOptions {
  /** Begin with the last so many messages. Default 0: with what comes next. */
  readonly history?: number | undefined;
  /** Or begin after a position that was kept from before. */
  readonly after?: Position | undefined;
  /** Be seen by others on this topic. Default false. */
  readonly presence?: boolean | undefined;
}

type Welcome = Extract<ServerFrame, { readonly type: 'welcome' }>;

export class Client {
  /** Messages to the user of this client, wherever connected. */
  readonly inbox: Subscription;
  /** Messages to everybody. */
  readonly everybody: Subscription;
  readonly #stateEvent = new Event<ClientState>(surface);
  readonly #gapEvent = new Event<Gap>(surface);
  readonly #lostEvent = new Event<Lost>(surface);
  readonly #undecidedEvent = new Event<Undecided>(surface);
  readonly #errorEvent = new Event<ClientError>(surface);
  readonly #roundTripEvent = new Event<number>(surface);

  /** The client's own state changed. */
  readonly onState: Listen<ClientState> = this.#stateEvent.on;
  /** A gap on any topic. */
  readonly onGap: Listen<Gap> = this.#gapEvent.on;
  readonly onLost: Listen<Lost> = this.#lostEvent.on;
  readonly onUndecided: Listen<Undecided> = this.#undecidedEvent.on;
  /** What no promise tells: a link or an address that failed, a message that is not JSON. The client goes on. */
  readonly onError: Listen<ClientError> = this.#errorEvent.on;
  /** Time of a ping and its answer, ms. */
  readonly onRoundTrip: Listen<number> = this.#roundTripEvent.on;

  readonly #settings: ClientSettings;
  readonly #endpoints = new Endpoints();
  readonly #wires = new Map<number, Wire>();
  readonly #streams = new Map<string, Stream>();
  readonly #outbox: Outbox;
  readonly #requests: Requests;
  readonly #questions = new Questions();
  readonly #holes: Holes;
  readonly #page: Listening;
  #life: Lifecycle;
  #timer: Timer;
  /** The last one. */
  #welcomed: Welcome | undefined;
  /** From a 1013: shown at the next attempt, at the same address. */
  #slot: string | undefined;
  #lastUrl = '';

  constructor(settings: ClientSettings) {
    this.#settings = settings;
    this.#life = born(settings.clock.now());
    const allowance = new Allowance(settings.outboxMessages, settings.outboxBytes);
    this.#outbox = new Outbox(allowance);
    this.#requests = new Requests(allowance, settings.clock);
    this.#holes = new Holes(settings.clock, (topic, number) => this.#fill(topic, number));
    this.inbox = new Subscriber(this.#follow(INBOX), () => {});
    this.everybody = new Subscriber(this.#follow(EVERYBODY), () => {});
    this.#page = settings.page((type) => this.#move({ type }));
    // Not at once: listeners come first.
    this.#timer = this.#due(0);
  }

  get state(): ClientState {
    return this.#life.state;
  }

  /** Null before the first welcome. */
  get identity(): Identity | null {
    if (!this.#welcomed) return null;
    const { client, user, node } = this.#welcomed;
    return { client, user, node };
  }

  /**
   * Follows a topic. A second subscription to the same topic shares its stream: it begins with what comes next, whatever its options.
   * Throws `badValue` for a name that is none, `closed` after the end.
   */
  subscribe(topic: string, options: SubscribeOptions = {}, listener?: (message: Message) => void): Subscription {
    this.#guard(topic);
    const known = this.#streams.get(topic);
    const isKnown = known && known.state.kind !== 'ended';
    const stream = isKnown ? known : this.#follow(topic, options.after === undefined ? { history: options.history ?? 0 } : { after: options.after });
    const subscriber = new Subscriber(stream, () => this.#leave(stream));
    if (listener) subscriber.onMessage(listener);
    const isRaised = options.presence && !stream.presence;
    if (isRaised) stream.presence = true;
    if (!isKnown || isRaised) this.#send(() => [stream.ask()]);
    return subscriber;
  }

  /** Resolves when the fleet has taken the message. Rejects with `refused`, `undecided`, `full`, `tooBig`, `badValue`, `closed`. */
  async publish(topic: string, value: unknown): Promise<void> {
    this.#guard(topic);
    const taken = this.#outbox.add(topic, toPayload(value));
    this.#send((messageBytes) => this.#outbox.unsent(topic, messageBytes));
    return taken;
  }

  /** Resolves with the reply, whatever its code. Rejects with `timeout`, `undecided`, `full`, `tooBig`, `badValue`, `closed`. */
  async request(method: string, value?: unknown, options: { readonly timeoutMs?: number | undefined } = {}): Promise<Reply> {
    this.#guard(method);
    const reply = this.#requests.add(method, toPayload(value), options.timeoutMs ?? this.#settings.requestTimeoutMs);
    this.#send((messageBytes) => this.#requests.frames(false, messageBytes));
    return reply;
  }

  /** Who is on the topic now, as far as they let themselves be seen; at most 1,000. */
  async presence(topic: string): Promise<readonly Present[]> {
    this.#guard(topic);
    return this.#questions.ask(topic, () => this.#send(() => [{ type: 'presence', topic }]));
  }

  /** Ends the session and rejects what waits. May be called twice. */
  close(): void {
    this.#move({ type: 'close' });
  }

  /** Before everything that is asked for by name. */
  #guard(name: string): void {
    checkName(name);
    if (this.state.kind === 'closed') throw closed(this.state);
  }

  #move(event: LifecycleEvent): void {
    const before = this.state;
    const [life, effects] = step(this.#life, event, { ...this.#settings, now: this.#settings.clock.now() });
    this.#life = life;
    for (const effect of effects) this.#act(effect);
    if (life.state === before) return;
    if (life.state.kind === 'closed') this.#finish(life.state);
    this.#stateEvent.emit(life.state);
  }

  #due(ms: number): Timer {
    return this.#settings.clock.after(ms, () => this.#move({ type: 'due' }));
  }

  #act(effect: LifecycleEffect): void {
    const wire = 'link' in effect ? this.#wires.get(effect.link) : undefined;
    switch (effect.type) {
      case 'dial':
        this.#timer.cancel();
        return this.#dial(effect);
      case 'drop':
        wire?.close(effect.code);
        return this.#unplug(effect.link);
      case 'probe':
        return wire?.probe();
      case 'wait':
        this.#slot = effect.slot;
        this.#timer = this.#due(effect.ms);
        return;
      case 'hello':
        if (!wire) return;
        this.#unplug(effect.link);
        this.#wires.set(effect.renamed, wire);
        wire.number = effect.renamed;
        wire.awaitWelcome(this.#settings.connectTimeoutMs);
        return this.#greet(wire, effect.resync);
    }
  }

  /** Opens a link; what goes wrong on the way ends it. */
  #dial({ link: number, url: at, ticket }: Extract<LifecycleEffect, { readonly type: 'dial' }>): void {
    const settings = this.#settings;
    const { clock, codec, links, connectTimeoutMs } = settings;
    const from = this.#current()?.url;
    const slot = this.#slot;
    this.#slot = undefined;
    const events = {
      opened: () => this.#greet(wire),
      frame: (frame: ServerFrame) => this.#receive(wire, frame),
      roundTrip: (ms: number) => this.#roundTripEvent.emit(ms),
      ended: (end: LinkEnd) => this.#ended(wire, end),
    };
    const wire: Wire = new Wire(clock, codec, events, connectTimeoutMs);
    wire.number = number;
    wire.ticket = ticket;
    this.#wires.set(number, wire);
    locate(settings, at ?? (slot ? this.#lastUrl : undefined), (urls, random = settings.random) => this.#endpoints.pick(urls, clock.now(), random), {
      found: ({ url, token }) => {
        this.#lastUrl = url;
        wire.token = token;
        wire.open(links, addressOf(url, from, slot));
      },
      failed: (error) => {
        const reason = `no link: ${error}`;
        this.#errorEvent.emit(new ClientError('noEndpoint', reason, undefined, error));
        wire.giveUp(reason);
      },
    });
  }

  #greet(wire: Wire, resync?: number): void {
    wire.unanswered.clear();
    wire.resync = resync;
    const subscriptions: { topic: string; after: Position; presence: boolean | undefined }[] = [];
    for (const { topic, position, presence } of this.#streams.values()) {
      // The others are asked for after the welcome.
      if (position === null || subscriptions.length === frameLimits.positions) continue;
      subscriptions.push({ topic, after: position, presence: presence || undefined });
      wire.unanswered.add(topic);
    }
    const { number, ticket, token } = wire;
    wire.ticket = undefined;
    wire.send([{ type: 'hello', session: this.#welcomed?.session, instance: this.#settings.instance, link: number, ticket, token, subscriptions, resync }]);
  }

  #ended(wire: Wire, end: LinkEnd): void {
    const { clock } = this.#settings;
    const reason = reasonOf(end, wire.ready);
    if (reason) this.#endpoints.avoid(wire.url, reason, clock.now());
    this.#unplug(wire.number);
    this.#move({ type: 'ended', link: wire.number, end });
  }

  /** Nothing comes from this link any more. */
  #unplug(link: number): void {
    this.#wires.delete(link);
    for (const stream of this.#streams.values()) if (stream.source === link) stream.unplug();
  }

  #finish(end: LinkEnd): void {
    const error = closed(end);
    this.#timer.cancel();
    this.#page.stop();
    for (const wire of this.#wires.values()) wire.close(1000);
    this.#outbox.end(error);
    this.#requests.end(error);
    this.#questions.end(error);
    for (const stream of this.#streams.values()) stream.end(end.code, end.reason);
  }

  /** Sends on the newest link, if it is ready; otherwise all that waits is sent when one is. */
  #send(frames: (messageBytes: number) => readonly ClientFrame[]): void {
    const wire = this.#current();
    if (wire?.ready && this.#welcomed) wire.send(frames(this.#welcomed.messageBytes));
  }

  /** The link that is sent on, once it was welcomed. */
  #current(): Wire | undefined {
    const { state } = this;
    return state.kind === 'open' || state.kind === 'moving' ? this.#wires.get(state.link) : undefined;
  }

  #receive(wire: Wire, frame: ServerFrame): void {
    const link = wire.number;
    if (frame.type === 'welcome') return this.#welcome(wire, frame);
    // A gateway that shows the way says so before any welcome.
    if (frame.type === 'resync' || (frame.type === 'move' && !wire.ready)) return this.#move({ ...frame, link });
    // Between a hello and its welcome nothing counts.
    if (!wire.ready || ('topic' in frame && wire.isVoid(frame))) return;
    switch (frame.type) {
      case 'publication':
        return this.#publication(wire, frame);
      case 'subscribed':
      case 'gap':
      case 'unsubscribed':
        return this.#answer(wire, frame);
      case 'ack':
        this.#holes.acknowledged(frame.topic, frame.number);
        return this.#outbox.taken(frame);
      case 'reply':
        return this.#requests.replied(frame.number, frame.code, frame.message, frame.payload);
      case 'move':
        this.#endpoints.avoid(wire.url, 'leaving', this.#settings.clock.now());
        return this.#move({ ...frame, link });
      case 'spread':
        return this.#move(frame);
      case 'expected':
      case 'present':
      case 'refused':
        // What an older link says of a message, or of who is there, the newest says again.
        if (wire === this.#current()) {
          if (frame.type === 'expected') this.#holes.expected(frame.topic, frame.number);
          else if (frame.type === 'present') this.#questions.answer(frame.topic, frame.members);
          else wire.send(this.#outbox.refused(frame));
        }
    }
  }

  #welcome(wire: Wire, welcome: Welcome): void {
    // An answer to an earlier hello, or no answer at all.
    if (wire.ready || welcome.resync !== wire.resync) return;
    this.#welcomed = welcome;
    this.#holes.clear();
    wire.welcomed(welcome.pingMs, welcome.deadMs);
    this.#move({ ...welcome, link: wire.number });
    // Whoever heard of the new state may have closed the client.
    if (wire.isOver) return;
    wire.ready = true;
    // What was left since the hello. Followed again from no position, it has to be asked for again.
    for (const topic of wire.unanswered) if (!this.#streams.get(topic)?.position) wire.leave(topic);
    const asks = [...this.#streams.values()].filter((stream) => !wire.unanswered.has(stream.topic) && isAskedFor(stream));
    for (const { topic } of asks) wire.unanswered.add(topic);
    wire.send([...asks.map((stream) => stream.ask()), ...this.#waiting(welcome), ...this.#questions.frames()]);
    this.#checkSettled(wire);
  }

  /** Messages and requests that go first on a link that was just welcomed. */
  #waiting({ resumed, numbers, messageBytes }: Welcome): ClientFrame[] {
    if (resumed) for (const one of numbers) this.#outbox.taken(one);
    else for (const held of [this.#outbox, this.#requests]) held.restart((undecided) => this.#undecidedEvent.emit(undecided));
    return [...this.#outbox.frames(messageBytes), ...this.#requests.frames(true, messageBytes)];
  }

  #publication(wire: Wire, frame: Extract<ServerFrame, { readonly type: 'publication' }>): void {
    const { topic, offset, payload } = frame;
    const stream = this.#streams.get(topic);
    const moved = stream?.advance(wire.number, frame);
    if (!stream || moved === false) return;
    if (moved === 'hole') return wire.send([stream.ask()]);
    try {
      stream.deliver(fromPayload(payload));
    } catch (error) {
      this.#errorEvent.emit(notJson(`message ${offset} on ${topic}`, error));
    }
  }

  #answer(wire: Wire, frame: Extract<ServerFrame, { readonly type: 'subscribed' | 'gap' | 'unsubscribed' }>): void {
    const { topic } = frame;
    const stream = this.#streams.get(topic);
    if (frame.type === 'unsubscribed' && this.#questions.answer(topic, refusal(`presence on ${topic}`, frame)) && stream?.source === wire.number) return;
    // The newest link decides; an older one only goes on with what it brings.
    if (stream && (wire === this.#current() || stream.source === wire.number)) {
      if (frame.type === 'unsubscribed') stream.end(frame.code, frame.message);
      else {
        const gap = stream.answered(wire.number, frame.position, frame.type === 'gap');
        if (gap === 'again') return wire.send([stream.ask()]);
        if (gap) this.#gapEvent.emit(gap);
      }
    }
    wire.unanswered.delete(topic);
    this.#checkSettled(wire);
  }

  #checkSettled(wire: Wire): void {
    if (wire.unanswered.size === 0) this.#move({ type: 'settled', link: wire.number });
  }

  /** The node misses messages from `number` on. */
  #fill(topic: string, number: number): void {
    this.#send(() => this.#outbox.missing(topic, number, (lost) => this.#lostEvent.emit(lost)));
  }

  #follow(topic: string, start: Start = { history: 0 }): Stream {
    const stream = new Stream(topic, start);
    this.#streams.set(topic, stream);
    return stream;
  }

  /** Nobody listens any more. */
  #leave(stream: Stream): void {
    const { topic } = stream;
    if (this.#streams.get(topic) !== stream) return;
    this.#streams.delete(topic);
    const wire = this.#current();
    // On a link that is not welcomed yet it is left with the welcome.
    if (!wire?.ready) return;
    wire.leave(topic);
    this.#checkSettled(wire);
  }
}

/** The node adds the inbox and everybody's stream by itself. */
const isAskedFor = ({ topic, state }: Stream): boolean => topic !== INBOX && topic !== EVERYBODY && state.kind !== 'ended';

const closed = ({ code, reason }: LinkEnd): ClientError => new ClientError('closed', `the client is closed: ${reason}`, code);
