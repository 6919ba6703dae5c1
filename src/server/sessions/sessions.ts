// All sessions of one node: greets clients, claims their sessions for this node, keeps them alive in the engine, moves them to
// other nodes, and ends what is stuck, too late or taken over.
import { createHash } from 'node:crypto';
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Goodbye } from '../../core/goodbye.ts';
import type { Log } from '../../core/log.ts';
import { crashSpreadMs, isNewSpread } from '../../core/spread.ts';
import type { Engine, Inbox, Json } from '../../engine/engine.ts';
import { streamLimits, type Appended, type Claimed } from '../../engine/streams.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { EVERYBODY, frameLimits, INBOX, type ServerFrame } from '../../protocol/frames.ts';
import type { SessionTally } from '../../node/session-tally.ts';
import { VITALS_METHOD } from '../../protocol/vitals.ts';
import { Hub } from '../hub/hub.ts';
import { knockOf, type Accepted, type SessionsSettings } from './options.ts';
import { Presence } from './presence.ts';
import { Requests } from './requests.ts';
import { SharedSecret } from './secret.ts';
import { vitalsHandler } from './vitals.ts';
import type { Hello, RequestFrame, SessionLink } from './link.ts';
import { Session, type SessionHost } from './session.ts';
import { readTicket, signSlot, signTicket } from './ticket.ts';

export interface SessionsPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly log: Log;
  readonly defer: (task: () => void) => void;
  /** A name that nobody had and nobody can guess. */
  readonly freshName: () => string;
  /** Id of this node in its fleet. */
  readonly node: string;
  /** A client that heard nothing for `pingMs` asks, for `deadMs` gives up. */
  readonly heartbeat: { readonly pingMs: number; readonly deadMs: number };
  /** How long a client that is told to move has, ms. */
  readonly moveMs: number;
  /** Where clients reach the sessions of the node that says this of itself. */
  readonly urlOf: (address: string) => string;
  readonly tally: SessionTally;
}

/** From accept to hello. */
const HELLO_MS = 10_000;
/** A link whose session was taken over goes on delivering for so long: the client closes it when the new one has all. */
const OVERLAP_MS = 10_000;
/** The same where nobody said who took it: it may be over. */
const FENCED_MS = 2_000;
const TICKET_MS = 30_000;
const SWEEP_MS = 1_000;
/** Others' admission rates and the secret are looked up this often. */
const LOOK_MS = 5_000;
const LATER_MS = 1_000;

/** Inbox of a node's sessions. */
const inboxOf = (node: string): string => `sessions/${node}`;

export class Sessions implements SessionHost {
  readonly settings: SessionsSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly defer: (task: () => void) => void;
  readonly hub: Hub;
  readonly requests: Requests;
  readonly presence: Presence;
  readonly #ports: SessionsPorts;
  readonly #secret: SharedSecret;
  readonly #byId = new Map<string, Session>();
  readonly #greeting = new Map<Session, Accepted>();
  /** Taken over, and until when they may go on, on the clock. */
  readonly #retired = new Map<Session, number>();
  readonly #timers: Timer[] = [];
  /** Those that have something to send at the end of this turn. */
  #unflushed: Session[] = [];
  #inbox: Promise<Inbox> | null = null;
  #othersAdmissionPerS = 0;
  #stopped = false;

  constructor(settings: SessionsSettings, ports: SessionsPorts) {
    const { engine, clock, log, defer, freshName } = ports;
    this.settings = settings;
    this.clock = clock;
    this.log = log;
    this.defer = defer;
    this.#ports = ports;
    this.#secret = new SharedSecret({ engine, log, given: settings.secret, fresh: freshName() });
    const keep = { count: settings.historyCount, ageMs: settings.historyMs, metaMs: settings.resumeMs + settings.historyMs };
    this.hub = new Hub({ engine, clock, log, defer, freshName, keep });
    this.requests = new Requests(engine, log);
    this.requests.own(
      VITALS_METHOD,
      vitalsHandler(ports.tally, () => this.requests.also(VITALS_METHOD)),
    );
    this.presence = new Presence({ engine, hub: this.hub, clock, log, ttlMs: settings.presenceMs, keep });
  }

  start(): void {
    const { clock, settings } = this;
    this.#stopped = false;
    this.hub.start();
    this.presence.start();
    this.#timers.push(clock.every(SWEEP_MS, () => this.#sweep()));
    this.#timers.push(clock.every(settings.resumeMs / 3, () => void this.#keepAll()));
    this.#timers.push(clock.every(LOOK_MS, () => void this.#look()));
    void this.#look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    for (const timer of this.#timers.splice(0)) timer.cancel();
    this.presence.stop();
    this.hub.stop();
    const inbox = await this.#inbox?.catch(() => null);
    this.#inbox = null;
    await inbox?.close().catch((error: unknown) => this.log.debug({ error }, 'the inbox of the sessions was not closed'));
  }

  /** The secret that slots are signed with as well. */
  get secret(): string {
    return this.#secret.value;
  }

  /** Sessions whose newest link is here. */
  get count(): number {
    return this.#byId.size;
  }

  /** A link that was let in; `from` is kept until it said hello. */
  accept(link: SessionLink, from: Accepted): Session {
    const session = new Session(link, this);
    this.#greeting.set(session, from);
    return session;
  }

  /** The link is no more. With 1000 the client said that it does not come back. */
  closed(session: Session, code: number): void {
    const { stage } = session;
    session.gone();
    this.#greeting.delete(session);
    this.#retired.delete(session);
    if (session.id === '') return;
    const last = this.#byId.get(session.id) === session;
    const gone = code === 1000 && stage === 'open';
    this.presence.leave(session, { gone });
    if (!last) return;
    this.#byId.delete(session.id);
    const { streams } = this.#ports.engine;
    // From its last link on it has the whole window.
    void this.#reach(async () => {
      if (gone) await streams.endSession(session.id, session.owner);
      else await streams.keepSessions([{ session: session.id, owner: session.owner }], this.settings.resumeMs);
    });
  }

  /** Tells a client to go on elsewhere: with a ticket where the target is known, else by closing. */
  move(session: Session, { target, reason }: Goodbye): void {
    if (session.stage !== 'open' || target === null) return session.end(CloseCode.restart, reason);
    const now = this.clock.wallTime();
    const ticket = signTicket(this.secret, { session: session.id, owner: session.owner, target: target.id, expiresAt: now + TICKET_MS });
    this.#ports.tally.moves++;
    // The plan has left room for it: its handshake goes first.
    const url = this.#ports.urlOf(target.address);
    const slot = `${url.includes('?') ? '&' : '?'}slot=${signSlot(this.secret, now)}`;
    session.tell({ type: 'move', url: url + slot, ticket, withinMs: this.#ports.moveMs });
  }

  async greet(session: Session, hello: Hello): Promise<void> {
    const from = this.#greeting.get(session);
    if (from === undefined) return;
    const identity = await this.settings.authenticate(knockOf(from, hello.token ?? null));
    if (session.stage !== 'greeting') return;
    if (identity === null) return session.end(CloseCode.unauthorized, 'the token is not accepted');
    session.user = checkUser(identity.user);
    const ticket = this.#ownerIn(hello);
    if (ticket === 'bad') return session.end(CloseCode.badTicket, 'the ticket is not good for this node, or not any more');
    try {
      await this.#claim(session, hello, ticket);
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      this.log.debug({ reason: error.message }, 'a session cannot be claimed now');
      session.end(CloseCode.tryLater, JSON.stringify({ retryMs: LATER_MS }));
    }
  }

  tooSlow(session: Session): void {
    if (session.stage === 'closed') return;
    this.#ports.tally.slow++;
    session.end(CloseCode.slow, 'reads too slowly');
  }

  fenced(session: Session): void {
    this.#retire(session, FENCED_MS);
  }

  /** One task for all of them: most of what a node does for a request is to be woken for it. */
  flushSoon(session: Session): void {
    if (this.#unflushed.push(session) > 1) return;
    this.defer(() => {
      const all = this.#unflushed;
      this.#unflushed = [];
      for (const one of all) one.flush();
    });
  }

  answer(session: Session, request: RequestFrame): ServerFrame | null | Promise<ServerFrame | null> {
    return this.requests.answer(session, request);
  }

  skip(session: Session, stream: string, range: { readonly from: number; readonly to: number }): Promise<Appended> {
    return this.#ports.engine.streams.skipNumbers(session.id, session.owner, stream, range);
  }

  enter(session: Session, topic: string): void {
    this.presence.enter(session, topic);
  }

  leave(session: Session, topic: string): void {
    this.presence.leave(session, { topic, gone: true });
  }

  async present(session: Session, topic: string): Promise<ServerFrame> {
    for (;;) {
      const members = await this.#reach(() => this.presence.present(topic));
      if (members !== null || session.stage === 'closed') return { type: 'present', topic, members: members ?? [] };
      // An empty list would say that nobody is there.
      await new Promise<void>((resolve) => void this.clock.after(LATER_MS, resolve));
    }
  }

  /** The owner epoch in the ticket; null without one. */
  #ownerIn(hello: Hello): number | null | 'bad' {
    // Empty: a gateway showed the way.
    if (hello.ticket === undefined || hello.ticket === '') return null;
    const verdict = readTicket(this.secret, hello.ticket, this.clock.wallTime(), this.#ports.node);
    return verdict.kind === 'ok' && verdict.ticket.session === hello.session ? verdict.ticket.owner : 'bad';
  }

  async #claim(session: Session, hello: Hello, ticket: number | null): Promise<void> {
    const { engine, freshName, node } = this.#ports;
    const { instance, link } = hello;
    const base = { instance, link, user: session.user, node, ttlMs: this.settings.resumeMs };
    let id = hello.session ?? freshName();
    let claimed: Claimed = await engine.streams.claim({ ...base, session: id, ticket, create: hello.session === undefined });
    if (claimed.kind === 'unknown' || claimed.kind === 'foreign') {
      // Over, or somebody else's: it gets one of its own, and learns no more than that.
      id = freshName();
      claimed = await engine.streams.claim({ ...base, session: id, ticket: null, create: true });
    }
    if (claimed.kind === 'stale') return session.end(CloseCode.replaced, 'a newer link has the session');
    if (claimed.kind !== 'claimed') return session.end(CloseCode.badTicket, 'the ticket was used');
    session.id = id;
    session.owner = claimed.owner;
    session.number = link;
    this.#takeOver(session, claimed.before);
    // The link may have closed meanwhile: the session is this node's all the same, and has its window.
    if (session.stage !== 'greeting') return this.closed(session, 1006);
    this.#ports.tally.hellos[!claimed.created ? 'resumed' : hello.session === undefined ? 'new' : 'over']++;
    await this.#welcome(session, hello, { resumed: !claimed.created, numbers: claimed.numbers });
  }

  /** The links that had the session until now go on delivering for a moment. */
  #takeOver(session: Session, before: string | null): void {
    const here = this.#byId.get(session.id);
    if (here !== undefined && here !== session) this.#retire(here, OVERLAP_MS);
    this.#byId.set(session.id, session);
    this.#greeting.delete(session);
    if (before === null || before === this.#ports.node) return;
    void this.#reach(() => this.#ports.engine.send(inboxOf(before), { session: session.id, owner: session.owner }));
  }

  async #welcome(
    session: Session,
    hello: Hello,
    { resumed, numbers }: { readonly resumed: boolean; readonly numbers: Readonly<Record<string, number>> },
  ): Promise<void> {
    const { node, heartbeat } = this.#ports;
    session.stage = 'open';
    session.client = clientOf(session.id);
    session.toldSpreadMs = this.#spreadMs;
    session.tell({
      type: 'welcome',
      session: session.id,
      resumed,
      client: session.client,
      user: session.user,
      node,
      resumeMs: this.settings.resumeMs,
      ...heartbeat,
      spreadMs: session.toldSpreadMs,
      messageBytes: this.settings.messageBytes,
      numbers: Object.entries(numbers).map(([stream, number]) => ({ topic: stream.replace(/^topic\//, ''), number })),
      ...(hello.resync === undefined ? {} : { resync: hello.resync }),
    });
    const asked = new Set<string>();
    for (const { topic, after, presence } of hello.subscriptions) {
      asked.add(topic);
      await session.subscribe(topic, { after }, presence === true);
      // Its link may have ended meanwhile: what it followed from now on, nobody would ever leave for it.
      if (!isOpen(session)) return;
    }
    for (const topic of [INBOX, EVERYBODY]) if (!asked.has(topic)) void session.followOwn(topic, { history: 0 });
  }

  #retire(session: Session, forMs: number): void {
    if (session.stage !== 'open') return;
    session.stage = 'retired';
    this.presence.leave(session, { gone: false });
    this.#retired.set(session, this.clock.now() + forMs);
    if (this.#byId.get(session.id) === session) this.#byId.delete(session.id);
  }

  /** Another node says that it has a session now. */
  #hear(message: Json): void {
    const { session: id, owner } = (message ?? {}) as { readonly session?: unknown; readonly owner?: unknown };
    const session = typeof id === 'string' ? this.#byId.get(id) : undefined;
    if (session !== undefined && typeof owner === 'number' && owner > session.owner) this.#retire(session, OVERLAP_MS);
  }

  gapped(): void {
    this.#ports.tally.gaps++;
  }

  #sweep(): void {
    const now = this.clock.now();
    for (const session of this.#greeting.keys()) {
      if (now - session.since > HELLO_MS) session.end(CloseCode.timeout, 'no hello');
    }
    for (const [session, until] of this.#retired) {
      // Whoever has no newer link comes back; for the others this link means nothing any more.
      if (now > until) session.end(CloseCode.restart, 'another link has the session');
    }
    this.#ports.tally.open = this.#byId.size;
    this.#ports.tally.streams = this.hub.size;
    const spreadMs = this.#spreadMs;
    for (const session of this.#byId.values()) {
      if (session.isStuck(now)) this.tooSlow(session);
      else if (isNewSpread(session.toldSpreadMs, spreadMs)) {
        session.toldSpreadMs = spreadMs;
        session.tell({ type: 'spread', ms: spreadMs });
      }
    }
  }

  get #spreadMs(): number {
    return Math.round(crashSpreadMs(this.#byId.size, this.#othersAdmissionPerS));
  }

  async #keepAll(): Promise<void> {
    const all = [...this.#byId.values()];
    await this.#reach(async () => {
      for (let from = 0; from < all.length; from += streamLimits.namesPerCall) {
        const some = all.slice(from, from + streamLimits.namesPerCall).map(({ id, owner }) => ({ session: id, owner }));
        const lost = new Set(await this.#ports.engine.streams.keepSessions(some, this.settings.resumeMs));
        for (const { session: id, owner } of some) {
          const session = this.#byId.get(id);
          if (lost.has(id) && session?.owner === owner) this.fenced(session);
        }
      }
    });
  }

  async #look(): Promise<void> {
    await this.#secret.look();
    await this.#reach(async () => {
      const { engine, node } = this.#ports;
      if (this.#stopped) return;
      this.#inbox ??= engine
        .receive(inboxOf(node), (message) => this.#hear(message))
        .catch((error: unknown) => {
          this.#inbox = null;
          throw error;
        });
      await this.#inbox;
      const others = (await engine.listMembers()).filter(({ id, state }) => id !== node && state === 'up');
      this.#othersAdmissionPerS = others.reduce((sum, { admissionPerS }) => sum + admissionPerS, 0);
    });
  }

  /** What it is told of the engine it can do without for now; null then. */
  async #reach<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await call();
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      this.log.debug({ reason: error.message }, 'the engine cannot be asked now');
      return null;
    }
  }
}

const isOpen = ({ stage }: Session): boolean => stage === 'open';

/** The public name of a session: what others are told of it must not be what resumes it. */
const clientOf = (session: string): string => createHash('sha256').update(session).digest('base64url').slice(0, 12);

function checkUser(user: string | null): string | null {
  const rule = `authenticate must answer with null or {user}, and user must be null or 1 to ${frameLimits.nameChars} characters`;
  if (user === null || (typeof user === 'string' && user !== '' && user.length <= frameLimits.nameChars)) return user;
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', `${rule}, got ${JSON.stringify(user)}`);
}
