// The lines of a head: one field is read at a time, with every byte checked, and those names are told apart that mean
// something to a proxy.
import { COLON, CR, DASH, isNamed, LF, SPACE, TAB, TOKEN, UNDERSCORE, VALUE } from './characters.ts';

/** Refused, with the status that says so to a client. */
export class BadHead {
  readonly status: number;
  readonly why: string;

  constructor(status: number, why: string) {
    this.status = status;
    this.why = why;
  }
}

export interface HeadLimits {
  /** Of the whole head. */
  readonly headBytes: number;
  /** Fields. */
  readonly headers: number;
}

/** Where the last field that was read lies in its text. One for all: whoever reads a field uses it before anybody reads another. */
export const field = { nameEnd: 0, valueStart: 0, valueEnd: 0, next: 0 };

/** Reads the field whose line begins at `at` into `field`. False: it is none. */
export function readField(text: string, at: number): boolean {
  let i = at;
  while (TOKEN[text.charCodeAt(i)] === 1) i++;
  // Also what begins with a space (obsolete folding), or has one before the colon.
  if (i === at || text.charCodeAt(i) !== COLON) return false;
  field.nameEnd = i++;
  while (text.charCodeAt(i) === SPACE || text.charCodeAt(i) === TAB) i++;
  field.valueStart = i;
  while (VALUE[text.charCodeAt(i)] === 1) i++;
  if (text.charCodeAt(i) !== CR || text.charCodeAt(i + 1) !== LF) return false;
  field.next = i + 2;
  while (i > field.valueStart && (text.charCodeAt(i - 1) === SPACE || text.charCodeAt(i - 1) === TAB)) i--;
  field.valueEnd = i;
  return true;
}

/** What reads the heads of one direction makes of their fields. */
export interface FieldRules<Head> {
  /** Looks at the field in `field`, whose line begins at `at`. */
  take(head: Head, text: string, at: number): BadHead | null;
  readonly noField: BadHead;
  readonly tooMany: BadHead;
}

/** Reads the fields from `fieldsAt` on, `most` of them, to the empty line; `end` is then behind it. */
export function readFields<Head extends { readonly fieldsAt: number; end: number }>(
  head: Head,
  text: string,
  most: number,
  rules: FieldRules<Head>,
): BadHead | null {
  let at = head.fieldsAt;
  for (let count = 0; text.charCodeAt(at) !== CR; count++) {
    if (count === most) return rules.tooMany;
    if (!readField(text, at)) return rules.noField;
    const { next } = field;
    const wrong = rules.take(head, text, at);
    if (wrong !== null) return wrong;
    at = next;
  }
  if (text.charCodeAt(at + 1) !== LF) return rules.noField;
  head.end = at + 2;
  return null;
}

export type Known =
  | 'te'
  | 'host'
  | 'expect'
  | 'upgrade'
  | 'trailer'
  | 'forwarded'
  | 'connection'
  | 'keep-alive'
  | 'content-length'
  | 'x-forwarded-for'
  | 'x-forwarded-host'
  | 'transfer-encoding'
  | 'x-forwarded-proto'
  /** All of `Proxy-*`. */
  | 'proxy'
  /** Differs from one of these only by underscores, which CGI and its heirs (WSGI, PHP) take for the same. */
  | 'look-alike';

/** Which of the names that matter this is; null: none of them. */
export function known(text: string, start: number, end: number): Known | null {
  switch (end - start) {
    case 2:
      return is(text, start, 'te');
    case 4:
      return is(text, start, 'host');
    case 6:
      return is(text, start, 'expect');
    case 7:
      return is(text, start, 'upgrade') ?? is(text, start, 'trailer');
    case 9:
      return is(text, start, 'forwarded');
    case 10:
      return is(text, start, 'connection') ?? isOrAlike(text, start, 'keep-alive');
    case 14:
      return isOrAlike(text, start, 'content-length');
    case 15:
      return isOrAlike(text, start, 'x-forwarded-for');
    case 16:
      return isOrAlike(text, start, 'x-forwarded-host') ?? proxy(text, start);
    case 17:
      return isOrAlike(text, start, 'transfer-encoding') ?? isOrAlike(text, start, 'x-forwarded-proto');
    default:
      return end - start > 6 ? proxy(text, start) : null;
  }
}

const is = (text: string, start: number, name: Known): Known | null => (isNamed(text, start, name) ? name : null);

const isOrAlike = (text: string, start: number, name: Known): Known | null => is(text, start, name) ?? alike(text, start, name);

const proxy = (text: string, start: number): Known | null => (isNamed(text, start, 'proxy-') ? 'proxy' : alike(text, start, 'proxy-'));

function alike(text: string, start: number, name: string): 'look-alike' | null {
  for (let i = 0; i < name.length; i++) {
    const code = text.charCodeAt(start + i);
    if ((code | 0x20) !== name.charCodeAt(i) && !(code === UNDERSCORE && name.charCodeAt(i) === DASH)) return null;
  }
  return 'look-alike';
}

/**
 * The value of `name` (lower case) among the fields from `at` to the empty line; each of them was checked before. Those of a repeated
 * field are joined, so that whoever decides by one sees all that the server will see.
 */
export function lookUp(text: string, at: number, name: string): string | undefined {
  let found: string | undefined;
  while (text.charCodeAt(at) !== CR) {
    readField(text, at);
    const { nameEnd, valueStart, valueEnd, next } = field;
    if (nameEnd - at === name.length && isNamed(text, at, name)) {
      const value = text.slice(valueStart, valueEnd);
      found = found === undefined ? value : `${found}${name === 'cookie' ? '; ' : ', '}${value}`;
    }
    at = next;
  }
  return found;
}

/** Fields of which `Connection` may not say that they end here: framing, routing, and what we put in ourselves. */
const KEPT = new Set(['host', 'content-length', 'transfer-encoding', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'te', 'expect']);

/** What a `Connection` field lists, in lower case. */
export function listed(value: string): string[] {
  return value
    .toLowerCase()
    .split(',')
    .map((token) => token.trim())
    .filter((token) => token !== '');
}

/** A `Connection` field: whether the connection goes on, and what else it lists, which is added to `named`. */
export function takeConnection(head: { keepAlive: boolean }, named: string[], value: string): void {
  if (value === 'keep-alive') {
    if (!named.includes('close')) head.keepAlive = true;
    return;
  }
  for (const token of listed(value)) named.push(token);
  if (named.includes('close')) head.keepAlive = false;
  else if (named.includes('keep-alive')) head.keepAlive = true;
}

/** The lines from `at` on without the named fields, but for those in `keeps`. `text` ends after its last field. */
export function without(text: string, at: number, names: readonly string[], keeps: ReadonlySet<string> = KEPT): string {
  let kept = text.slice(0, at);
  while (at < text.length) {
    readField(text, at);
    const { nameEnd, next } = field;
    const name = text.slice(at, nameEnd).toLowerCase();
    if (keeps.has(name) || !names.includes(name)) kept += text.slice(at, next);
    at = next;
  }
  return kept;
}

/** Not below zero, in decimal digits alone; -1: it is no such number, or no safe one. */
export function digits(text: string, start: number, end: number): number {
  if (end === start || end - start > 15) return -1;
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
