// The fields of every frame, once, for both codecs: their names, their kinds and the order that numbers them in `evenkeel.proto`.
// New fields and frames are added at the end, and none is taken away, so that the numbers stay.
import { frameLimits, type ClientFrame, type ServerFrame } from './frames.ts';

/**
 * `name`: 1 to 256 characters. `token`: up to 8,192. `text`: as long as the server likes. `user`: text or null. `number`: whole,
 * 0 to 2^53-1. `payload`: JSON text or bytes, which have a field each.
 */
export type Scalar = 'name' | 'token' | 'text' | 'user' | 'number' | 'flag' | 'payload';
type Kind = Scalar | Shape;

export interface Field {
  readonly name: string;
  /** In the binary coding. A payload has this one for JSON, and the next one for bytes. */
  readonly number: number;
  readonly kind: Kind;
  readonly isOptional: boolean;
  readonly isList: boolean;
}

export interface Shape {
  readonly fields: readonly Field[];
  /** Exactly one of the fields is there. */
  readonly isChoice: boolean;
}

function shape(kinds: Record<string, Scalar | `${Scalar}?` | Shape | readonly [Shape]>, isChoice = false): Shape {
  let number = 1;
  const fields = Object.entries(kinds).map(([name, wire]): Field => {
    const isOptional = isChoice || (typeof wire === 'string' && wire.endsWith('?'));
    const isList = Array.isArray(wire);
    const kind = (isList ? wire[0] : typeof wire === 'string' ? wire.replace('?', '') : wire) as Kind;
    const field = { name, number, kind, isOptional, isList };
    number += kind === 'payload' ? 2 : 1;
    return field;
  });
  return { fields, isChoice };
}

const position = shape({ epoch: 'name', offset: 'number' });
const start = shape({ after: position, history: 'number' }, true);
const subscription = shape({ topic: 'name', after: position, presence: 'flag?' });
const numbered = shape({ topic: 'name', number: 'number' });
const present = shape({ client: 'name', user: 'user' });
const heartbeat = shape({ at: 'number' });

type Frame = ClientFrame | ServerFrame;
type Shapes<F extends Frame> = { readonly [T in F['type']]: Shape };

const client: Shapes<ClientFrame> = {
  hello: shape({
    session: 'name?',
    instance: 'name',
    link: 'number',
    ticket: 'token?',
    token: 'token?',
    subscriptions: [subscription],
    resync: 'number?',
  }),
  subscribe: shape({ topic: 'name', start, presence: 'flag?' }),
  unsubscribe: shape({ topic: 'name' }),
  publish: shape({ topic: 'name', number: 'number', payload: 'payload' }),
  request: shape({ number: 'number', settled: 'number', method: 'name', payload: 'payload', again: 'flag?' }),
  lost: shape({ topic: 'name', from: 'number', to: 'number' }),
  presence: shape({ topic: 'name' }),
  ping: heartbeat,
  pong: heartbeat,
};

const server: Shapes<ServerFrame> = {
  ping: heartbeat,
  pong: heartbeat,
  welcome: shape({
    session: 'name',
    resumed: 'flag',
    client: 'name',
    user: 'user',
    node: 'name',
    resumeMs: 'number',
    pingMs: 'number',
    deadMs: 'number',
    spreadMs: 'number',
    messageBytes: 'number',
    numbers: [numbered],
    resync: 'number?',
  }),
  subscribed: shape({ topic: 'name', position }),
  unsubscribed: shape({ topic: 'name', code: 'number', message: 'text' }),
  publication: shape({ topic: 'name', epoch: 'name', offset: 'number', payload: 'payload' }),
  gap: shape({ topic: 'name', position }),
  ack: shape({ topic: 'name', number: 'number' }),
  expected: shape({ topic: 'name', number: 'number' }),
  refused: shape({ topic: 'name', number: 'number', code: 'number', message: 'text' }),
  reply: shape({ number: 'number', code: 'number', message: 'text', payload: 'payload?' }),
  present: shape({ topic: 'name', members: [present] }),
  move: shape({ url: 'text', ticket: 'token', withinMs: 'number' }),
  spread: shape({ ms: 'number' }),
  resync: shape({ number: 'number' }),
};

/** Maps, so that no type that a peer invents (`constructor`) finds something. In the order of their numbers, from 1. */
const all = { ...client, ...server };
export const shapes: ReadonlyMap<unknown, Shape> = new Map(Object.entries(all));
/** Who may send a type. */
export const clientTypes: ReadonlySet<unknown> = new Set(Object.keys(client));
export const serverTypes: ReadonlySet<unknown> = new Set(Object.keys(server));

/** Thrown inside a decode, and caught there: what came is no message of this protocol. */
const malformed = new Error('malformed');

export function must(condition: boolean): asserts condition {
  if (!condition) throw malformed;
}

/** Holds a string, number or flag to its kind. What a server sends is trusted with lengths. */
export function scalar(kind: Kind, value: unknown, isTrusted: boolean): unknown {
  if (kind === 'number') {
    must(Number.isSafeInteger(value) && (value as number) >= 0);
    // JSON has a minus zero, and nobody wants it.
    return (value as number) + 0;
  }
  if (kind === 'flag') must(typeof value === 'boolean');
  else if (kind !== 'user' || value !== null) {
    must(typeof value === 'string');
    if (!isTrusted) {
      must(kind !== 'name' || (value !== '' && value.length <= frameLimits.nameChars));
      // Half a surrogate pair has no UTF-8: the codecs would disagree about the name.
      must(value.length <= frameLimits.tokenChars && !/\p{Surrogate}/u.test(value));
    }
  }
  return value;
}

/** A list that a client sent is no longer than a node is willing to look at. */
export const mustBeShort = (length: number, isTrusted: boolean): void => must(isTrusted || length <= frameLimits.positions);

/** Whether valid JSON nests deeper than others may be asked to read; by its text, so that nothing of it is walked through. */
export function isTooDeep(json: string): boolean {
  // Every level takes two characters.
  if (json.length <= frameLimits.depth * 2) return false;
  let depth = 0;
  let isString = false;
  for (let i = 0; i < json.length; i++) {
    const char = json.charCodeAt(i);
    if (char === 0x22) isString = !isString;
    else if (isString) {
      if (char === 0x5c) i++;
    } else if (char === 0x5b || char === 0x7b) {
      if (++depth > frameLimits.depth) return true;
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
  return false;
}
