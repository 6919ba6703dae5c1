// Nodes with sessions on one virtual clock and one store, and clients that are played frame by frame: what the node says is
// kept, what it is told is said by hand.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { VirtualClock } from '../../src/core/clock.ts';
import { EvenkeelError } from '../../src/core/errors.ts';
import type { Log } from '../../src/core/log.ts';
import { memoryEngine, MemoryStore } from '../../src/engine/memory.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Streams } from '../../src/engine/streams.ts';
import { SessionTally } from '../../src/node/session-tally.ts';
import type { ClientFrame, Codec, ServerFrame } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { protoCodec } from '../../src/protocol/proto.ts';
import { readSessionsOptions, type SessionsOptions } from '../../src/server/sessions/options.ts';
import type { SessionLink } from '../../src/server/sessions/link.ts';
import type { Session } from '../../src/server/sessions/session.ts';
import { Sessions } from '../../src/server/sessions/sessions.ts';

export type Of<T extends ServerFrame['type']> = Extract<ServerFrame, { readonly type: T }>;
type HelloFrame = Extract<ClientFrame, { readonly type: 'hello' }>;
type Changes = Partial<HelloFrame>;

export const SECRET = 'a secret of sixteen';

/** One link, from the client's side. */
export class PlayedLink implements SessionLink {
  readonly codec: Codec;
  readonly packer: SessionLink['packer'];
  readonly #sessions: Sessions;
  readonly session: Session;
  /** How the node closed it. */
  closed: { readonly code: number; readonly reason: string } | null = null;
  held = false;
  /** What the client has not read yet, bytes; null: it reads at once. */
  unread: number | null = null;
  #heard: ServerFrame[] = [];

  constructor(sessions: Sessions, codec: Codec) {
    this.codec = codec;
    this.packer = { pack: (frames) => Buffer.from(codec.encode(frames)) };
    this.#sessions = sessions;
    this.session = sessions.accept(this, { headers: {}, url: '/evenkeel', remoteAddress: '127.0.0.1' });
  }

  write(packed: Uint8Array): void {
    assert.equal(this.closed, null, 'nothing is written after the close');
    if (this.unread !== null) this.unread += packed.length;
    const frames = this.codec.decodeServer(this.codec.binary ? packed : Buffer.from(packed).toString());
    this.#heard.push(...(frames ?? assert.fail('a message that clients cannot read')));
  }

  close(code: number, reason: string): void {
    this.closed = { code, reason };
  }

  buffered(): number {
    return this.unread ?? 0;
  }

  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
  }

  /** The client reads what has piled up. */
  read(): void {
    this.unread = 0;
    this.session.drained();
  }

  /** Several frames in one message. */
  say(...frames: ClientFrame[]): void {
    this.session.receive(this.codec.encode(frames));
  }

  /** What was heard since the last call. */
  heard(): ServerFrame[] {
    return this.#heard.splice(0);
  }

  /** What was heard of some types; the rest is dropped. */
  of<T extends ServerFrame['type']>(...types: T[]): Of<T>[] {
    return this.heard().filter((frame): frame is Of<T> => types.includes(frame.type as T));
  }

  /** The socket is gone. */
  break(code = 1006): void {
    this.#sessions.closed(this.session, code);
  }
}

export interface PlayedNode {
  readonly sessions: Sessions;
  readonly tally: SessionTally;
  readonly engine: Engine;
  /** Replaces calls of the engine's streams; empty: all pass. */
  readonly instead: Partial<Streams>;
  link(): PlayedLink;
}

export const unreachable = (): Promise<never> => Promise.reject(new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'not now'));

export class Stage {
  readonly clock: VirtualClock = new VirtualClock(1_000);
  readonly store: MemoryStore = new MemoryStore(this.clock);
  readonly codec: Codec;
  /** What was logged as an error. */
  readonly errors: string[] = [];
  #names = 0;

  readonly #listening = new Set<object>();

  constructor(codec: Codec = jsonCodec) {
    this.codec = codec;
    const { store } = this;
    const open = store.open.bind(store);
    store.open = (name, listener) => this.#counted(open(name, listener));
    const tail = store.streams.tail.bind(store.streams);
    store.streams.tail = (name, listener) => this.#counted(tail(name, listener));
  }

  /** Inboxes and tails that are open. */
  get listeners(): number {
    return this.#listening.size;
  }

  #counted(shut: () => void): () => void {
    const one = {};
    this.#listening.add(one);
    return () => {
      this.#listening.delete(one);
      shut();
    };
  }

  node(id: string, options: SessionsOptions = {}): PlayedNode {
    const { clock, store } = this;
    const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: (_, message) => void this.errors.push(message) };
    const inner = memoryEngine({ clock, store });
    const instead: Partial<Streams> = {};
    const streams = new Proxy(inner.streams, {
      get: (target, name: keyof Streams) => instead[name] ?? target[name].bind(target),
    });
    const engine = new Proxy(inner, {
      get: (target, name) => {
        if (name === 'streams') return streams;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const tally = new SessionTally();
    const sessions = new Sessions(readSessionsOptions({ secret: SECRET, ...options }), {
      engine,
      clock,
      log,
      defer: (task) => void clock.after(0, task),
      freshName: () => `fresh-${id}-${++this.#names}`,
      node: id,
      heartbeat: { pingMs: 10_000, deadMs: 20_000 },
      moveMs: 5_000,
      urlOf: (address) => `ws://${address}/evenkeel`,
      tally,
    });
    sessions.start();
    return { sessions, tally, engine, instead, link: () => new PlayedLink(sessions, this.codec) };
  }

  /** Lets what is under way finish. */
  async settle(ms = 0): Promise<void> {
    await this.clock.advanceAsync(ms);
    for (let i = 0; i < 4; i++) await this.clock.advanceAsync(0);
  }

  /** A link that was welcomed, and its welcome; what else came with it is dropped. */
  async open(node: PlayedNode, changes: Changes = {}): Promise<PlayedLink & { readonly welcome: Of<'welcome'> }> {
    const link = node.link();
    link.say(hello(changes));
    await this.settle();
    const [welcome] = link.of('welcome');
    assert.ok(welcome !== undefined, `not welcomed: ${JSON.stringify(link.closed)}`);
    return Object.assign(link, { welcome });
  }
}

/** A suite that runs once in each form on the wire, with a stage whose clients speak it. */
export function inEachForm(name: string, suite: (stage: new () => Stage) => void): void {
  for (const codec of [jsonCodec, protoCodec]) {
    class FormedStage extends Stage {
      constructor() {
        super(codec);
      }
    }
    describe(`${name}, with ${codec.subprotocol}`, () => suite(FormedStage));
  }
}

/** With which code the node closed it, if it did. */
export const codeOf = (link: PlayedLink): number | undefined => link.closed?.code;

export function hello(changes: Changes = {}): HelloFrame {
  return { type: 'hello', instance: 'i1', link: 1, subscriptions: [], ...changes };
}

/** `number` as the payload, so that order can be seen. */
export const publish = (topic: string, number: number, json: string = String(number)): ClientFrame => ({ type: 'publish', topic, number, payload: { json } });

export const fromNow = (topic: string): ClientFrame => ({ type: 'subscribe', topic, start: { history: 0 } });
