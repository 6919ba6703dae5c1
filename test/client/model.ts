// A fleet in memory, small enough to be right: streams that may lose or trim entries, sessions with one owner, links with delays
// that break at any moment. What happened is kept, so that a history can be judged.
import type { Link, LinkEvents, LinkFactory } from '../../src/client/link.ts';
import type { Clock } from '../../src/core/clock.ts';
import type { Random } from '../../src/core/random.ts';
import type { ClientFrame, Payload, Position, ServerFrame, Start } from '../../src/protocol/frames.ts';
import { json, welcomeFrame, type Form } from './stage.ts';

interface Entry extends Position {
  readonly payload: Payload;
}

/** Mistakes that a judge must find. */
export interface Mistakes {
  /** Does not say what it took, and takes it twice. */
  readonly takesTwice?: boolean;
  /** Leaves out every tenth message, and counts on as if it had been none. */
  readonly skips?: boolean;
  /** Acknowledges what it does not keep. */
  readonly forgets?: boolean;
}

export class ModelStream {
  epochs: { readonly epoch: string; readonly first: number }[] = [{ epoch: 'e1', first: 1 }];
  entries: Entry[] = [];
  /** Everything that was ever appended, also what was lost later. */
  readonly log: Entry[] = [];
  top = 0;
  #runs = 1;

  get position(): Position {
    return { epoch: this.epochs.at(-1)?.epoch ?? '', offset: this.top };
  }

  append(payload: Payload): Entry {
    const entry = { epoch: this.position.epoch, offset: ++this.top, payload };
    this.entries.push(entry);
    this.log.push(entry);
    return entry;
  }

  /** The engine loses its last entries, and numbers in a new run. */
  lose(count: number): void {
    const kept = Math.max(0, this.top - count);
    this.entries = this.entries.filter(({ offset }) => offset <= kept);
    this.top = kept;
    this.epochs = [...this.epochs.filter(({ first }) => first <= kept), { epoch: `e${++this.#runs}`, first: kept + 1 }];
  }

  trim(count: number): void {
    this.entries.splice(0, count);
  }

  /** What follows a position, or null: that cannot be said any more. */
  after({ epoch, offset }: Position): Entry[] | null {
    const index = this.epochs.findIndex((one) => one.epoch === epoch);
    if (index < 0) return null;
    const last = (this.epochs[index + 1]?.first ?? this.top + 1) - 1;
    const oldest = this.entries[0]?.offset ?? this.top + 1;
    if (offset > last || offset + 1 < oldest) return null;
    return this.entries.filter((entry) => entry.offset > offset);
  }
}

interface ModelSession {
  readonly instance: string;
  link: number;
  owner: ModelLink | null;
  numbers: Map<string, number>;
  replies: Map<number, number>;
}

/** One link with its node: each direction is in order, with delays of its own. */
export class ModelLink implements Link {
  readonly fleet: ModelFleet;
  readonly events: LinkEvents;
  session: ModelSession | null = null;
  /** Where it goes on, by topic. */
  readonly next: Map<string, number> = new Map();
  /** `silent`: nothing arrives any more, and nobody is told. */
  fate: 'alive' | 'silent' | 'over' = 'alive';
  moving = false;
  #resync: number | undefined;
  readonly #delayMs: number;
  #lastToClient = 0;
  #lastToNode = 0;

  constructor(fleet: ModelFleet, events: LinkEvents) {
    this.fleet = fleet;
    this.events = events;
    this.#delayMs = 1 + fleet.random.next() * 100;
    this.#later('client', () => this.events.opened());
  }

  send(data: string | Uint8Array): void {
    this.#later('node', () => (this.fleet.form.node.decodeClient(data) ?? []).forEach((frame) => this.#take(frame)));
  }

  close(): void {
    this.fate = 'over';
  }

  /** Frames on the way are lost. */
  break(code: number): void {
    if (this.fate === 'over') return;
    this.fate = 'over';
    this.events.closed({ code, reason: '' });
  }

  /** Another server behind the same socket: what it knew is gone, frames before the hello are void. */
  change(): void {
    if (this.session === null) return;
    this.#release();
    this.#resync = ++this.fleet.resyncs;
    this.say({ type: 'resync', number: this.#resync });
  }

  say(frame: ServerFrame): void {
    this.#later('client', () => this.events.message(this.fleet.form.node.encode([frame])));
  }

  /** Says what is new on its topics. */
  catchUp(topic: string): void {
    const next = this.next.get(topic);
    if (next === undefined) return;
    const { entries } = this.fleet.stream(topic);
    for (const { epoch, offset, payload } of entries.filter((entry) => entry.offset >= next)) {
      this.say({ type: 'publication', topic, epoch, offset, payload });
      this.next.set(topic, offset + 1);
    }
  }

  /** The stream went back under it. */
  gap(topic: string): void {
    if (!this.next.has(topic)) return;
    const { position } = this.fleet.stream(topic);
    this.say({ type: 'gap', topic, position });
    this.next.set(topic, position.offset + 1);
  }

  #later(to: 'client' | 'node', task: () => void): void {
    const { clock, random } = this.fleet;
    const before = to === 'client' ? this.#lastToClient : this.#lastToNode;
    const at = Math.max(before, clock.now() + this.#delayMs * (0.5 + random.next()));
    if (to === 'client') this.#lastToClient = at;
    else this.#lastToNode = at;
    clock.after(at - clock.now(), () => void (this.fate === 'alive' && task()));
  }

  #release(): void {
    if (this.session?.owner === this) this.session.owner = null;
    this.session = null;
    this.next.clear();
  }

  #take(frame: ClientFrame): void {
    if (frame.type === 'hello') return this.#greet(frame);
    const { session } = this;
    if (session === null) return;
    if (frame.type === 'ping') return this.say({ type: 'pong', at: frame.at });
    // Fenced: nothing that it hears counts.
    if (session.owner !== this) return;
    if (frame.type === 'subscribe') this.#follow(frame.topic, frame.start);
    else if (frame.type === 'unsubscribe') {
      this.next.delete(frame.topic);
      this.say({ type: 'unsubscribed', topic: frame.topic, code: 200, message: '' });
    } else if (frame.type === 'publish') this.#publish(session, frame);
    else if (frame.type === 'lost') session.numbers.set(frame.topic, Math.max(frame.to, session.numbers.get(frame.topic) ?? 0));
    else if (frame.type === 'request') {
      const known = session.replies.get(frame.number);
      const ran = known ?? ++this.fleet.handled;
      session.replies.set(frame.number, ran);
      this.say({ type: 'reply', number: frame.number, code: 200, message: '', payload: { json: String(ran) } });
    }
  }

  #greet(hello: Extract<ClientFrame, { readonly type: 'hello' }>): void {
    if (this.#resync !== hello.resync) return;
    this.#resync = undefined;
    const { fleet } = this;
    let id = hello.session ?? '';
    let session = fleet.sessions.get(id);
    const resumed = session !== undefined && session.instance === hello.instance;
    if (!resumed || session === undefined) {
      id = `s${fleet.sessions.size + 1}-${fleet.expired++}`;
      session = { instance: hello.instance, link: 0, owner: null, numbers: new Map(), replies: new Map() };
      fleet.sessions.set(id, session);
    }
    if (hello.link <= session.link) return this.break(4409);
    session.link = hello.link;
    const before = session.owner;
    // A link that lost its session delivers for a while.
    if (before !== null && before !== this) fleet.clock.after(10_000, () => before.fate === 'alive' && before.break(1012));
    session.owner = this;
    this.session = session;
    const numbers = fleet.mistakes.takesTwice === true ? [] : [...session.numbers].map(([topic, number]) => ({ topic, number }));
    this.say(welcomeFrame({ session: id, resumed, numbers, resync: hello.resync, spreadMs: 1_000 }));
    for (const { topic, after } of hello.subscriptions) this.#follow(topic, { after });
  }

  #follow(topic: string, start: Start): void {
    const stream = this.fleet.stream(topic);
    const entries = 'after' in start ? stream.after(start.after) : stream.entries.slice(stream.entries.length - Math.min(start.history, stream.entries.length));
    if (entries === null) {
      this.next.set(topic, stream.top + 1);
      return this.say({ type: 'gap', topic, position: stream.position });
    }
    const first = entries[0]?.offset ?? stream.top + 1;
    const position = 'after' in start ? start.after : { epoch: stream.position.epoch, offset: first - 1 };
    this.say({ type: 'subscribed', topic, position });
    this.next.set(topic, position.offset + 1);
    this.catchUp(topic);
  }

  #publish(session: ModelSession, { topic, number, payload }: Extract<ClientFrame, { readonly type: 'publish' }>): void {
    const { fleet } = this;
    const taken = session.numbers.get(topic) ?? 0;
    if (number > taken + 1) return this.say({ type: 'expected', topic, number: taken + 1 });
    if (number > taken || fleet.mistakes.takesTwice === true) {
      session.numbers.set(topic, Math.max(taken, number));
      if (fleet.mistakes.forgets !== true || number % 10 !== 0) fleet.publish(topic, payload);
    }
    this.say({ type: 'ack', topic, number: Math.max(taken, number) });
  }
}

export class ModelFleet {
  readonly clock: Clock;
  readonly random: Random;
  readonly mistakes: Mistakes;
  readonly form: Form;
  readonly streams: Map<string, ModelStream> = new Map();
  readonly sessions: Map<string, ModelSession> = new Map();
  readonly links: ModelLink[] = [];
  resyncs = 0;
  expired = 0;
  handled = 0;

  constructor(clock: Clock, random: Random, { form = json, mistakes = {} }: { readonly form?: Form; readonly mistakes?: Mistakes } = {}) {
    this.clock = clock;
    this.random = random;
    this.mistakes = mistakes;
    this.form = form;
  }

  readonly open: LinkFactory = (_url, _protocol, events) => {
    const link = new ModelLink(this, events);
    this.links.push(link);
    return link;
  };

  /** Links that are not over, as far as the fleet knows; the newest last. */
  get alive(): ModelLink[] {
    return this.links.filter(({ fate }) => fate === 'alive');
  }

  stream(topic: string): ModelStream {
    const stream = this.streams.get(topic) ?? new ModelStream();
    this.streams.set(topic, stream);
    return stream;
  }

  publish(topic: string, payload: Payload): void {
    const stream = this.stream(topic);
    const { offset } = stream.append(payload);
    if (this.mistakes.skips === true && stream.log.length % 10 === 0) {
      stream.entries.pop();
      stream.top = offset - 1;
    }
    for (const link of this.alive) link.catchUp(topic);
  }

  lose(topic: string, count: number): void {
    const stream = this.stream(topic);
    stream.lose(count);
    for (const link of this.alive) link.gap(topic);
  }
}
