// A client on a virtual clock, whose links are played by the test: what it sends is kept, what it hears is said by hand.
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { Client } from '../../src/client/client.ts';
import { compactJsonCodec, type ClientCodec } from '../../src/client/json.ts';
import type { Link, LinkEvents, LinkFactory } from '../../src/client/link.ts';
import { settle, type ClientOptions } from '../../src/client/options.ts';
import { protoCodec } from '../../src/client/proto.ts';
import { VirtualClock } from '../../src/core/clock.ts';
import { seeded } from '../../src/core/random.ts';
import type { PageEvent } from '../../src/host/browser.ts';
import type { ClientFrame, Codec, ServerFrame } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';

/** One of the two forms on the wire, as each end has it. */
export interface Form {
  readonly name: string;
  readonly client: ClientCodec;
  readonly node: Codec;
}

export const json: Form = { name: 'JSON', client: compactJsonCodec, node: jsonCodec };
export const protobuf: Form = { name: 'protobuf', client: protoCodec, node: protoCodec };
export const forms: readonly Form[] = [json, protobuf];

/** A stage whose ends speak this form. */
export function formed(form: Form): typeof Stage {
  return class extends Stage {
    protected override get form(): Form {
      return form;
    }
  };
}

/** A suite that runs once in each form, with a stage that speaks it. */
export function inEachForm(name: string, suite: (stage: typeof Stage) => void): void {
  for (const form of forms) describe(`${name}, in ${form.name}`, () => suite(formed(form)));
}

/** Without members that are undefined: not every form tells them from those that are not there. */
const bare = <T>(frame: T): T => Object.fromEntries(Object.entries(frame as object).filter(([, value]) => value !== undefined)) as T;

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
  readonly #codec: Codec;
  #frames: ClientFrame[] = [];

  constructor(url: string, events: LinkEvents, codec: Codec) {
    this.url = url;
    this.events = events;
    this.#codec = codec;
  }

  send(data: string | Uint8Array): void {
    assert.equal(this.closed, null, 'sent on a closed link');
    this.#frames.push(...(this.#codec.decodeClient(data)?.map(bare) ?? assert.fail('not a message')));
  }

  close(code: number): void {
    this.closed = code;
  }

  /** What the client sent since the last call. */
  sent(): ClientFrame[] {
    return this.#frames.splice(0);
  }

  say(...frames: ServerFrame[]): void {
    this.events.message(this.#codec.encode(frames));
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
      const link = new PlayedLink(url, events, this.form.node);
      this.links.push(link);
      return link;
    };
    const page = (tell: (event: PageEvent) => void) => {
      this.page = tell;
      return { stop: () => {} };
    };
    const given: ClientOptions = { url: 'ws://a/evenkeel', clock: this.clock, random: seeded(1), instance: 'i1', page, ...options };
    this.client = new Client(settle(given, this.form.client, links));
    this.clock.advance(0);
  }

  protected get form(): Form {
    return json;
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
    const stage = new this(options);
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
