// A client on a virtual clock, whose links are played by the test: what it sends is kept, what it hears is said by hand.
import assert from 'node:assert/strict';
import { Client } from '../../src/client/client.ts';
import type { Link, LinkEvents, LinkFactory } from '../../src/client/link.ts';
import { settle, type ClientOptions } from '../../src/client/options.ts';
import { VirtualClock } from '../../src/core/clock.ts';
import { seeded } from '../../src/core/random.ts';
import type { PageEvent } from '../../src/host/browser.ts';
import type { ClientFrame, Codec, ServerFrame } from '../../src/protocol/frames.ts';

/** Frames pass as they are, so that these tests are about the client alone. */
export const plainCodec: Codec = {
  subprotocol: 'test',
  binary: false,
  encode: (frames) => JSON.stringify(frames, (_, value: unknown) => (value instanceof Uint8Array ? { raw: [...value] } : value)),
  decodeClient: (message) => parse(message) as ClientFrame[] | null,
  decodeServer: (message) => parse(message) as ServerFrame[] | null,
};

function parse(message: string | Uint8Array): unknown {
  try {
    return JSON.parse(String(message), (_, value: { raw?: number[] }) => (Array.isArray(value?.raw) ? Uint8Array.from(value.raw) : value));
  } catch {
    return null;
  }
}

type Welcome = Extract<ServerFrame, { readonly type: 'welcome' }>;

export const welcomeFrame = (changes: Partial<Welcome> = {}): Welcome => ({
  type: 'welcome',
  session: 's1',
  resumed: false,
  client: 'c1',
  user: null,
  node: 'n1',
  resumeMs: 120_000,
  pingMs: 30_000,
  deadMs: 90_000,
  spreadMs: 0,
  messageBytes: 65_536,
  numbers: [],
  ...changes,
});

export class PlayedLink implements Link {
  readonly url: string;
  readonly events: LinkEvents;
  /** The code with which the client closed it. */
  closed: number | null = null;
  #frames: ClientFrame[] = [];

  constructor(url: string, events: LinkEvents) {
    this.url = url;
    this.events = events;
  }

  send(data: string | Uint8Array): void {
    assert.equal(this.closed, null, 'sent on a closed link');
    this.#frames.push(...(plainCodec.decodeClient(data) ?? assert.fail('not a message')));
  }

  close(code: number): void {
    this.closed = code;
  }

  /** What the client sent since the last call. */
  sent(): ClientFrame[] {
    return this.#frames.splice(0);
  }

  say(...frames: ServerFrame[]): void {
    this.events.message(plainCodec.encode(frames));
  }

  /** Opens, hears the hello and answers it. */
  welcome(changes: Partial<Welcome> = {}): Extract<ClientFrame, { readonly type: 'hello' }> {
    this.events.opened();
    const [hello] = this.sent();
    assert.ok(hello.type === 'hello');
    this.say(welcomeFrame({ resync: hello.resync, ...changes }));
    return hello;
  }

  break(code = 1006, reason = ''): void {
    this.events.closed({ code, reason });
  }
}

export class Stage {
  readonly clock: VirtualClock = new VirtualClock();
  readonly links: PlayedLink[] = [];
  readonly client: Client;
  /** Tells the client an event of its page. */
  page!: (event: PageEvent) => void;

  constructor(options: Partial<ClientOptions> = {}) {
    const links: LinkFactory = (url, _, events) => {
      const link = new PlayedLink(url, events);
      this.links.push(link);
      return link;
    };
    const page = (tell: (event: PageEvent) => void) => {
      this.page = tell;
      return { stop: () => {} };
    };
    const given: ClientOptions = { url: 'ws://a/evenkeel', clock: this.clock, random: seeded(1), instance: 'i1', page, ...options };
    this.client = new Client(settle(given, plainCodec, links));
    this.clock.advance(0);
  }

  /** The newest link. */
  get link(): PlayedLink {
    return this.links.at(-1) ?? assert.fail('no link yet');
  }

  /** Lets a wait pass, however long, and answers with its length; fails when no new link was opened. */
  nextLink(): number {
    const before = this.links.length;
    const began = this.clock.now();
    while (this.links.length === before) {
      const next = this.clock.nextAt();
      assert.ok(next < Infinity, 'no further attempt');
      this.clock.advance(next - this.clock.now());
    }
    return this.clock.now() - began;
  }

  /** A client that is connected and follows these topics from offset 0 on. */
  static open(topics: readonly string[] = [], options: Partial<ClientOptions> = {}): Stage {
    const stage = new Stage(options);
    stage.link.welcome();
    for (const topic of topics) {
      stage.client.subscribe(topic);
      stage.link.say({ type: 'subscribed', topic, position: { epoch: 'e1', offset: 0 } });
    }
    stage.link.sent();
    return stage;
  }
}

export const publication = (topic: string, offset: number, epoch = 'e1'): ServerFrame => ({
  type: 'publication',
  topic,
  epoch,
  offset,
  payload: { json: JSON.stringify(offset) },
});
