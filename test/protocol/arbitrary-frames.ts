// Random frames of every type, for tests of whatever reads or writes them: any lengths and characters that the limits allow.
import * as fc from 'fast-check';
import { frameLimits, type ClientFrame, type Payload, type Position, type ServerFrame, type Start } from '../../src/protocol/frames.ts';

type Fields<T extends object, Optional extends keyof T = never> = { [K in Exclude<keyof T, Optional>]-?: fc.Arbitrary<T[K]> } & {
  [K in Optional]-?: fc.Arbitrary<Exclude<T[K], undefined>>;
};

/** An object of these fields; the optional ones are there or are not. */
function record<T extends object, Optional extends keyof T = never>(fields: Fields<T, Optional>, optional: readonly Optional[] = []): fc.Arbitrary<T> {
  const keys = Object.keys(fields) as (keyof T)[];
  const requiredKeys = keys.filter((key) => !(optional as readonly (keyof T)[]).includes(key));
  return fc.record(fields, { requiredKeys: requiredKeys as never, noNullPrototype: true }) as fc.Arbitrary<T>;
}

const text = (minLength: number, maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'binary', minLength, maxLength }).filter((one) => one.length <= maxLength);

const odd = ['__proto__', 'constructor', '\ufeffmarked', '"quoted\\"', '\0', '\u2028', '😀', '@inbox', 'é'.repeat(100)];

export const anyName: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: text(1, 24) },
  fc.constantFrom(...odd, 'n'.repeat(frameLimits.nameChars), 'é'.repeat(frameLimits.nameChars)),
);
const anyToken = fc.oneof(text(0, 300), fc.constantFrom('', ...odd, 't'.repeat(frameLimits.tokenChars)));
const anyText = fc.oneof(text(0, 300), fc.constantFrom('', ...odd));
const anyUser = fc.oneof(fc.constant(null), anyText);
export const anyNumber: fc.Arbitrary<number> = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(0, 1, 127, 128, 16_383, 16_384, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);

const anyJson = fc.oneof(
  { weight: 6, arbitrary: fc.json({ maxDepth: 4 }) },
  fc.constantFrom(
    'null',
    '0',
    '""',
    '"}"',
    '{"__proto__":{"data":1}}',
    '{"bytes":"x"}',
    '"\\ud800"',
    '['.repeat(frameLimits.depth) + ']'.repeat(frameLimits.depth),
  ),
);
export const anyPayload: fc.Arbitrary<Payload> = fc.oneof(
  record<{ json: string }>({ json: anyJson }),
  record<{ bytes: Uint8Array }>({ bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => new Uint8Array(bytes)) }),
);
export const anyPosition: fc.Arbitrary<Position> = record<Position>({ epoch: anyName, offset: anyNumber });
const anyStart: fc.Arbitrary<Start> = fc.oneof(record<{ after: Position }>({ after: anyPosition }), record<{ history: number }>({ history: anyNumber }));

type Of<F, T extends string> = Extract<F, { readonly type: T }>;
type Arbitraries<F extends { readonly type: string }> = { readonly [T in F['type']]: fc.Arbitrary<Of<F, T>> };

const type = <T extends string>(name: T): fc.Arbitrary<T> => fc.constant(name);
const heartbeats = {
  ping: record<{ type: 'ping'; at: number }>({ type: type('ping'), at: anyNumber }),
  pong: record<{ type: 'pong'; at: number }>({ type: type('pong'), at: anyNumber }),
};

/** By type, so that the compiler misses one that is left out. */
const clientFrames: Arbitraries<ClientFrame> = {
  hello: record<Of<ClientFrame, 'hello'>, 'session' | 'ticket' | 'token' | 'resync'>(
    {
      type: type('hello'),
      session: anyName,
      instance: anyName,
      link: anyNumber,
      ticket: anyToken,
      token: anyToken,
      subscriptions: fc.array(
        record<{ topic: string; after: Position; presence?: boolean | undefined }, 'presence'>({ topic: anyName, after: anyPosition, presence: fc.boolean() }, [
          'presence',
        ]),
        { maxLength: 6 },
      ),
      resync: anyNumber,
    },
    ['session', 'ticket', 'token', 'resync'],
  ),
  subscribe: record<Of<ClientFrame, 'subscribe'>, 'presence'>({ type: type('subscribe'), topic: anyName, start: anyStart, presence: fc.boolean() }, [
    'presence',
  ]),
  unsubscribe: record<Of<ClientFrame, 'unsubscribe'>>({ type: type('unsubscribe'), topic: anyName }),
  publish: record<Of<ClientFrame, 'publish'>>({ type: type('publish'), topic: anyName, number: anyNumber, payload: anyPayload }),
  request: record<Of<ClientFrame, 'request'>, 'again'>(
    { type: type('request'), number: anyNumber, settled: anyNumber, method: anyName, payload: anyPayload, again: fc.boolean() },
    ['again'],
  ),
  lost: record<Of<ClientFrame, 'lost'>>({ type: type('lost'), topic: anyName, from: anyNumber, to: anyNumber }),
  presence: record<Of<ClientFrame, 'presence'>>({ type: type('presence'), topic: anyName }),
  ...heartbeats,
};

const serverFrames: Arbitraries<ServerFrame> = {
  welcome: record<Of<ServerFrame, 'welcome'>, 'resync'>(
    {
      type: type('welcome'),
      session: anyName,
      resumed: fc.boolean(),
      client: anyName,
      user: anyUser,
      node: anyName,
      resumeMs: anyNumber,
      pingMs: anyNumber,
      deadMs: anyNumber,
      spreadMs: anyNumber,
      messageBytes: anyNumber,
      numbers: fc.array(record<{ topic: string; number: number }>({ topic: anyName, number: anyNumber }), { maxLength: 6 }),
      resync: anyNumber,
    },
    ['resync'],
  ),
  subscribed: record<Of<ServerFrame, 'subscribed'>>({ type: type('subscribed'), topic: anyName, position: anyPosition }),
  unsubscribed: record<Of<ServerFrame, 'unsubscribed'>>({ type: type('unsubscribed'), topic: anyName, code: anyNumber, message: anyText }),
  publication: record<Of<ServerFrame, 'publication'>>({
    type: type('publication'),
    topic: anyName,
    epoch: anyName,
    offset: anyNumber,
    payload: anyPayload,
  }),
  gap: record<Of<ServerFrame, 'gap'>>({ type: type('gap'), topic: anyName, position: anyPosition }),
  ack: record<Of<ServerFrame, 'ack'>>({ type: type('ack'), topic: anyName, number: anyNumber }),
  expected: record<Of<ServerFrame, 'expected'>>({ type: type('expected'), topic: anyName, number: anyNumber }),
  refused: record<Of<ServerFrame, 'refused'>>({ type: type('refused'), topic: anyName, number: anyNumber, code: anyNumber, message: anyText }),
  reply: record<Of<ServerFrame, 'reply'>, 'payload'>({ type: type('reply'), number: anyNumber, code: anyNumber, message: anyText, payload: anyPayload }, [
    'payload',
  ]),
  present: record<Of<ServerFrame, 'present'>>({
    type: type('present'),
    topic: anyName,
    members: fc.array(record<{ client: string; user: string | null }>({ client: anyName, user: anyUser }), { maxLength: 6 }),
  }),
  move: record<Of<ServerFrame, 'move'>>({ type: type('move'), url: anyText, ticket: anyToken, withinMs: anyNumber }),
  spread: record<Of<ServerFrame, 'spread'>>({ type: type('spread'), ms: anyNumber }),
  resync: record<Of<ServerFrame, 'resync'>>({ type: type('resync'), number: anyNumber }),
  ...heartbeats,
};

export const clientFrameTypes: readonly string[] = Object.keys(clientFrames);
export const serverFrameTypes: readonly string[] = Object.keys(serverFrames);

export const anyClientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(...(Object.values(clientFrames) as fc.Arbitrary<ClientFrame>[]));
export const anyServerFrame: fc.Arbitrary<ServerFrame> = fc.oneof(...(Object.values(serverFrames) as fc.Arbitrary<ServerFrame>[]));
/** What one WebSocket message holds. */
export const anyClientMessage: fc.Arbitrary<ClientFrame[]> = fc.array(anyClientFrame, { maxLength: 5 });
export const anyServerMessage: fc.Arbitrary<ServerFrame[]> = fc.array(anyServerFrame, { maxLength: 5 });
