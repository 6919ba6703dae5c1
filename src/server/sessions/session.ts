// This node's end of one link: takes the client's frames in order, follows streams for it, numbers and acknowledges what it
// publishes, answers its requests. What needs the rest of the node it asks of its host.
import type { Clock } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import type { Appended } from '../../engine/streams.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { INBOX, RESERVED, type ClientFrame, type ServerFrame, type Start } from '../../protocol/frames.ts';
import { dataOf, type Follower, type Packed, type Packer } from '../hub/follower.ts';
import { streamOf, type Hub } from '../hub/hub.ts';
import type { LiveStream } from '../hub/live-stream.ts';
import { Held, Intake } from './intake.ts';
import type { Hello, RequestFrame, SessionLink, SessionStage } from './link.ts';
import { Missed } from './missed.ts';
import type { SessionsSettings, Wish } from './options.ts';
import { countsFromOne, isOwn, isReserved, isTooBig, type Outcome } from './rules.ts';

/** What a session asks of its node. */
export interface SessionHost {
  readonly settings: SessionsSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly hub: Hub;
  readonly defer: (task: () => void) => void;
  /** Says who it is, claims the session, and welcomes it; or closes the link. */
  greet(session: Session, hello: Hello): Promise<void>;
  /** Another link has the session. */
  fenced(session: Session): void;
  /** The client does not read: its link ends. */
  tooSlow(session: Session): void;
  /** The client is told that a topic has a gap. */
  gapped(): void;
  /** Calls `flush` after what is happening now. */
  flushSoon(session: Session): void;
  /** The reply to a request, to be sent as it is; null when the session has moved on. No promise where nothing has to be waited for. */
  answer(session: Session, request: RequestFrame): ServerFrame | null | Promise<ServerFrame | null>;
  /** The client lost its messages `from`..`to`. */
  skip(session: Session, stream: string, range: { readonly from: number; readonly to: number }): Promise<Appended>;
  enter(session: Session, topic: string): void;
  leave(session: Session, topic: string): void;
  present(session: Session, topic: string): Promise<ServerFrame>;
}

/** What may be under way for one client; beyond it nothing more is read. */
const UNDER_WAY = 128;
/** Topics on which a client may have left out a number at once. */
const AWAITED = 1_000;

export class Session implements Follower {
  readonly link: SessionLink;
  readonly packer: Packer;
  stage: SessionStage = 'greeting';
  /** Empty until welcomed. */
  id = '';
  /** Public name. */
  client = '';
  user: string | null = null;
  owner = 0;
  /** Number of the link, from hello. */
  number = 0;
  /** On the host's clock: when it was accepted, or when it was told to move. */
  since: number;
  toldSpreadMs = 0;
  /** More of what its client sent at once is to come; `allHeard` follows. */
  isHearing = false;
  readonly #host: SessionHost;
  #streams: LiveStream[] = [];
  /** When it began to take nothing, or 0. */
  #stalledAt = 0;
  #out: ServerFrame[] | null = null;
  #acks: Map<string, number> | null = null;
  /** Made when something is missing; most sessions never need it. */
  #missed: Missed | null = null;
  /** Frames that came while an earlier one was still being handled. */
  #waiting: ClientFrame[] | null = null;
  #underWay = 0;
  readonly #intake: Intake;

  constructor(link: SessionLink, host: SessionHost) {
    this.link = link;
    this.packer = link.packer;
    this.#host = host;
    this.since = host.clock.now();
    this.#intake = new Intake(link, host);
  }

  /** One message of the link. */
  receive(message: string | Uint8Array): void {
    if (this.stage === 'closed' || this.stage === 'retired') return;
    const frames = this.link.codec.decodeClient(message);
    if (frames === null) return this.end(CloseCode.badFrame, 'a message that is not of this protocol');
    // An empty message is work as well.
    this.#intake.count(Math.max(1, frames.length));
    if (this.#waiting !== null) this.#waiting.push(...frames);
    else this.#run(frames);
  }

  /** What could be answered at once goes out without waiting for the end of the turn: being woken for it would cost more. */
  allHeard(): void {
    this.isHearing = false;
    this.flush();
  }

  /** The link answered by itself, to a ping of its own kind. */
  pinged(): void {
    if (this.stage === 'closed') return;
    this.#intake.count(1);
    this.ready();
  }

  /** The link has room again. */
  drained(): void {
    if (this.#stalledAt === 0) return;
    this.#stalledAt = 0;
    this.#intake.release(Held.unread);
    for (const stream of this.#streams) stream.resume(this);
  }

  /** Closes the link because of something; what the session holds is given back by `gone`. */
  end(code: number, reason: string): void {
    if (this.stage === 'closed') return;
    this.flush();
    this.gone();
    this.link.close(code, reason);
  }

  /** The link is no more. */
  gone(): void {
    this.stage = 'closed';
    this.#intake.end();
    for (const stream of this.#streams) this.#host.hub.leave(stream, this);
    this.#streams = [];
  }

  /** Whether it has not taken what waited for it for too long. */
  isStuck(now: number): boolean {
    // A socket tells that it has room only after it had much to send.
    if (this.#stalledAt !== 0 && this.link.buffered() <= this.#host.settings.unsentBytes / 2) this.drained();
    return this.#stalledAt !== 0 && now - this.#stalledAt > this.#host.settings.slowMs;
  }

  /** Where the client does not read, it gets nothing more, and what it sends is not read either: its answers would pile up. */
  ready(): boolean {
    if (this.link.buffered() <= this.#host.settings.unsentBytes) return true;
    if (this.#stalledAt === 0) {
      this.#stalledAt = this.#host.clock.now();
      this.#intake.hold(Held.unread);
    }
    return false;
  }

  /** Only who was live; who catches up gets as much as it takes. Not from within the stream that says so. */
  overrun(): void {
    if (this.#host.settings.slow === 'close') this.#host.defer(() => this.#host.tooSlow(this));
  }

  write(packed: Packed): void {
    this.flush();
    this.link.write(packed);
  }

  /** Sends a frame with the others of this turn. */
  tell(frame: ServerFrame): void {
    if (this.stage === 'closed') return;
    if (frame.type === 'gap') this.#host.gapped();
    if (this.#out === null && this.#acks === null && !this.isHearing) this.#host.flushSoon(this);
    (this.#out ??= []).push(frame);
  }

  /** Follows a stream for the client. A promise where that begins later. */
  follow(topic: string, start: Start): void | Promise<void> {
    this.unfollow(topic);
    const [stream, begun] = this.#host.hub.follow(streamOf(topic, this.user), topic, { follower: this, start });
    // A list of exactly that length: one that grows by `push` has room for 17.
    this.#streams = this.#streams.concat(stream);
    return begun;
  }

  unfollow(topic: string): boolean {
    const index = this.#streams.findIndex((stream) => stream.topic === topic);
    if (index < 0) return false;
    for (const stream of this.#streams.splice(index, 1)) this.#host.hub.leave(stream, this);
    return true;
  }

  /** Asks the application, and follows or says why not. For hello and subscribe alike. */
  subscribe(topic: string, start: Start, presence: boolean): void | Promise<void> {
    const { settings } = this.#host;
    if (isOwn(topic)) return this.followOwn(topic, start) ?? this.#deny(topic, 403, 'there is no such stream for this client');
    if (isReserved(topic)) return this.#deny(topic, 403, 'topics that begin with @ are reserved');
    const others = this.#streams.filter((stream) => stream.topic !== topic && !isOwn(stream.topic));
    if (others.length >= settings.topics) return this.#deny(topic, 429, `a session may follow at most ${settings.topics} topics`);
    return this.#whenAllowed('subscribe', topic, (allowed) => {
      if (!allowed) return this.#deny(topic, 403, 'this topic may not be followed');
      const begun = this.follow(topic, start);
      if (presence && !topic.startsWith(RESERVED)) this.#host.enter(this, topic);
      // What the client publishes next is to be among what it follows from now on. With a position there is nothing to wait for.
      if ('history' in start) return begun;
    });
  }

  /** Follows what every session follows by itself; undefined where that is not for this one. */
  followOwn(topic: string, start: Start): Promise<void> | undefined {
    if (topic === INBOX ? this.user === null : !this.#host.settings.everybody) return undefined;
    return Promise.resolve(this.follow(topic, start));
  }

  #deny(topic: string, code: number, message: string): void {
    this.tell({ type: 'unsubscribed', topic, code, message });
  }

  #run(frames: readonly ClientFrame[]): void {
    for (let index = 0; index < frames.length; index++) {
      const wait = this.#taken(frames[index]);
      if (wait === undefined) continue;
      this.#waiting = frames.slice(index + 1);
      this.#intake.hold(Held.waiting);
      wait.then(
        () => this.#goOn(),
        (error: unknown) => this.#fail(error),
      );
      return;
    }
  }

  #goOn(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#intake.release(Held.waiting);
    if (this.stage === 'open' || this.stage === 'greeting') this.#run(waiting);
  }

  #fail(error: unknown): void {
    this.#host.log.error({ session: this.client, error }, 'a session failed');
    this.end(CloseCode.failed, 'the server failed');
  }

  /** A hook of the application that throws must not take the process with it. */
  #taken(frame: ClientFrame): void | Promise<void> {
    try {
      return this.#take(frame);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** A promise where what follows must wait. */
  #take(frame: ClientFrame): void | Promise<void> {
    if (this.stage === 'greeting') {
      if (frame.type === 'hello') return this.#host.greet(this, frame);
      return this.end(CloseCode.badFrame, 'the first frame must be hello');
    }
    if (this.stage !== 'open') return;
    if (!countsFromOne(frame)) return this.end(CloseCode.badFrame, 'numbers count from 1, and ranges go upwards');
    switch (frame.type) {
      case 'publish':
        return this.#publish(frame);
      case 'request':
        return this.#request(frame);
      case 'subscribe':
        return this.subscribe(frame.topic, frame.start, frame.presence === true);
      case 'unsubscribe':
        return this.#unsubscribe(frame.topic);
      case 'lost':
        return this.#lost(frame.topic, frame);
      case 'presence':
        return this.#presence(frame.topic);
      case 'ping':
        return this.tell({ type: 'pong', at: frame.at });
      case 'pong':
        return;
      case 'hello':
        return this.end(CloseCode.badFrame, 'hello comes once');
    }
  }

  #unsubscribe(topic: string): void {
    if (this.unfollow(topic)) this.#host.leave(this, topic);
    this.tell({ type: 'unsubscribed', topic, code: 200, message: '' });
  }

  #presence(topic: string): void | Promise<void> {
    return this.#whenAllowed('presence', topic, (allowed) => {
      if (!allowed) return this.#deny(topic, 403, 'who is on this topic may not be asked');
      this.#begin(this.#host.present(this, topic).then((frame) => this.tell(frame)));
    });
  }

  #publish(frame: ClientFrame & { readonly type: 'publish' }): void | Promise<void> {
    const { topic, number, payload } = frame;
    if (this.#missed?.admits(topic, number) === false) return;
    if (isTooBig(payload, this.#host.settings.messageBytes)) {
      return this.#refuse(frame, 413, `a message must be at most ${this.#host.settings.messageBytes} bytes`);
    }
    if (topic.startsWith(RESERVED)) return this.#refuse(frame, 403, 'topics that begin with @ are not for clients to publish on');
    return this.#whenAllowed('publish', topic, (allowed) => {
      if (!allowed) return this.#refuse(frame, 403, 'on this topic may not be published');
      const author = { kind: 'session', session: this.id, owner: this.owner, number } as const;
      const appended = this.#host.hub.append({ stream: streamOf(topic, null), data: dataOf(payload), author });
      const done = (): void => this.#ack(topic, number);
      this.#begin(this.#settle(topic, number, { appended, upTo: number, done, limited: (message) => this.#refuse(frame, 429, message) }));
    });
  }

  /** Its number is taken only when the client answers: else, were this lost with the link, it would take the message for published. */
  #refuse({ topic, number }: { readonly topic: string; readonly number: number }, code: number, message: string): void {
    this.#missed ??= new Missed();
    if (this.#missed.refuse(topic, number)) this.tell({ type: 'refused', topic, number, code, message });
    else this.#expect(topic, number, number);
  }

  #lost(topic: string, { from, to }: { readonly from: number; readonly to: number }): void {
    this.#missed?.lost(topic, to);
    const appended = this.#host.skip(this, streamOf(topic, null), { from, to });
    const done = (): void => {
      this.#ack(topic, to);
      if (this.#missed?.awaits(topic, to + 1) === true) this.tell({ type: 'expected', topic, number: to + 1 });
    };
    // Where there are no numbers to take, there is nothing to wait for.
    this.#begin(this.#settle(topic, from, { appended, upTo: to, done, limited: done }));
  }

  /** `number`: where to begin again when it is not known whether it took effect. */
  async #settle(topic: string, number: number, { appended, upTo, done, limited }: Outcome): Promise<void> {
    try {
      const result = await appended;
      if (result.kind === 'hole') this.#expect(topic, result.expected, upTo);
      else if (result.kind === 'fenced') this.#host.fenced(this);
      else {
        this.#reached(topic, upTo);
        done();
      }
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      if (error.code === 'EVENKEEL_LIMIT') return limited(error.message);
      // Whether it took effect is not known: sending it again decides.
      this.#host.log.debug({ session: this.client, reason: error.message }, 'a message could not be stored yet');
      this.#expect(topic, number, upTo);
    }
  }

  #expect(topic: string, number: number, upTo: number): void {
    this.#missed ??= new Missed();
    if (this.#missed.topics >= AWAITED) return this.end(CloseCode.tooMany, `numbers are missing on more than ${AWAITED} topics`);
    if (this.#missed.miss(topic, number, upTo)) this.tell({ type: 'expected', topic, number });
  }

  /** Everything up to `number` is taken: what was dropped beyond it has to come again. */
  #reached(topic: string, number: number): void {
    const dropped = this.#missed?.taken(topic, number) ?? null;
    if (dropped !== null) this.tell({ type: 'expected', topic, number: dropped });
  }

  /** One ack for all messages of a topic in this turn. */
  #ack(topic: string, number: number): void {
    if (this.#acks === null) {
      this.#acks = new Map<string, number>();
      if (this.#out === null) this.#host.flushSoon(this);
    }
    this.#acks.set(topic, Math.max(number, this.#acks.get(topic) ?? 0));
  }

  #request(frame: RequestFrame): void {
    const { number, payload } = frame;
    const { messageBytes } = this.#host.settings;
    if (isTooBig(payload, messageBytes)) return this.tell({ type: 'reply', number, code: 413, message: `a request must be at most ${messageBytes} bytes` });
    const answer = this.#host.answer(this, frame);
    if (answer instanceof Promise) this.#begin(answer.then((reply) => void (reply !== null && this.tell(reply))));
    else if (answer !== null) this.tell(answer);
  }

  #begin(work: Promise<void>): void {
    if (++this.#underWay === UNDER_WAY) this.#intake.hold(Held.underWay);
    work
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        if (this.#underWay-- === UNDER_WAY) this.#intake.release(Held.underWay);
      });
  }

  #whenAllowed(action: Wish['action'], topic: string, then: (allowed: boolean) => void | Promise<void>): void | Promise<void> {
    const answer = this.#host.settings.authorize({ user: this.user, client: this.client, action, topic });
    // No answer is a no.
    if (typeof answer !== 'object') return then(answer);
    return answer.then((allowed) => (this.stage === 'open' ? then(allowed) : undefined));
  }

  /** Sends what waits for the end of this turn. */
  flush(): void {
    if (this.#acks !== null) {
      for (const [topic, number] of this.#acks) (this.#out ??= []).push({ type: 'ack', topic, number });
      this.#acks = null;
    }
    const frames = this.#out;
    if (frames === null || this.stage === 'closed') return;
    this.#out = null;
    this.link.write(this.packer.pack(frames));
    this.ready();
  }
}
