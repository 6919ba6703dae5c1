// Checks what is handed to an engine, in the same words for every engine: names, times to live, records, JSON.
// Each check throws the EvenkeelError that the call then rejects with.
import { EvenkeelError } from '../core/errors.ts';
import type { NodeRecord } from '../core/membership.ts';
import { engineLimits, type Json } from './engine.ts';

export function checkName(thing: string, name: string): void {
  if (typeof name !== 'string' || name === '') throw bad(thing, 'must be a string that is not empty', name);
  if (name.length > engineLimits.nameChars) throw tooMuch(thing, `at most ${engineLimits.nameChars} characters`, `${name.length}`);
}

export function checkTtl(thing: string, ttlMs: number): void {
  if (!(Number.isFinite(ttlMs) && ttlMs > 0)) throw bad(thing, 'must be a positive number of milliseconds', ttlMs);
}

/** All that a record holds besides numbers are names, so that names bound it. */
export function checkRecord(record: NodeRecord): void {
  checkName('record.id', record.id);
  checkName('record.incarnation', record.incarnation);
  if (!isRecord(record)) throw bad('record', 'must have numbers as sequence and startedAt', typeof record);
  if (record.address.length > engineLimits.nameChars) checkName('record.address', record.address);
  if (record.version.length > engineLimits.nameChars) checkName('record.version', record.version);
}

/** Whether a value that came over a wire is a record as far as the engine itself relies on it. */
export function isRecord(value: unknown): value is NodeRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { id, incarnation, sequence, startedAt, address, version } = value as Partial<NodeRecord>;
  const named = typeof id === 'string' && typeof incarnation === 'string' && typeof address === 'string' && typeof version === 'string';
  return named && Number.isFinite(sequence) && Number.isFinite(startedAt);
}

/** What to call a piece of JSON in an error, and how many bytes it may have. */
export interface JsonBound {
  readonly thing: string;
  readonly bytes: number;
}

/**
 * A deeply frozen copy of `value`. Cheaper than a trip through JSON text: the exact size is measured only when the
 * estimate, which never falls short, is beyond the limit. Like JSON, it leaves undefined properties out.
 */
export function frozenCopy(value: Json, bound: JsonBound): Json {
  const account = { bytes: 0 };
  const copy = copied(value, account, { depth: 0, thing: bound.thing });
  if (account.bytes > bound.bytes) {
    const bytes = Buffer.byteLength(JSON.stringify(copy));
    if (bytes > bound.bytes) throw tooMuch(bound.thing, `at most ${bound.bytes} bytes as JSON`, `${bytes}`);
  }
  return copy;
}

interface Place {
  readonly depth: number;
  readonly thing: string;
}

function copied(value: unknown, account: { bytes: number }, place: Place): Json {
  switch (typeof value) {
    case 'string':
      // The longest that JSON makes of one UTF-16 unit is the escape of a control character, six bytes.
      account.bytes += 3 + 6 * value.length;
      return value;
    case 'number':
      account.bytes += 26;
      return value;
    case 'boolean':
      account.bytes += 6;
      return value;
    case 'object':
      account.bytes += 5;
      if (value === null) return null;
      if (place.depth >= engineLimits.depth) throw tooMuch(place.thing, `nested at most ${engineLimits.depth} deep`, 'more');
      return copiedObject(value, account, { depth: place.depth + 1, thing: place.thing });
    default:
      throw bad(place.thing, 'must be JSON', typeof value);
  }
}

function copiedObject(value: object, account: { bytes: number }, place: Place): Json {
  if (Array.isArray(value)) {
    const list: Json[] = [];
    for (const item of value) list.push(copied(item, account, place));
    return Object.freeze(list);
  }
  const copy: Record<string, Json> = {};
  for (const key of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (item === undefined) continue;
    account.bytes += 4 + 6 * key.length;
    const inner = copied(item, account, place);
    // A plain assignment of this one key would set the prototype instead.
    if (key === '__proto__') Object.defineProperty(copy, key, { value: inner, enumerable: true });
    else copy[key] = inner;
  }
  return Object.freeze(copy);
}

export function tooMuch(thing: string, rule: string, got: string): EvenkeelError {
  return new EvenkeelError('EVENKEEL_LIMIT', `${thing} must be ${rule}, got ${got}`);
}

export function bad(thing: string, rule: string, got: unknown): EvenkeelError {
  return new EvenkeelError('EVENKEEL_BAD_OPTION', `${thing} ${rule}, got ${typeof got === 'string' ? `'${got}'` : String(got)}`);
}
