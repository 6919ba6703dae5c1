// The calls of `Streams` as data, as they travel to a host, and the limits that every one of them is held to: by the process
// that calls, and again by the host, for guests that do not check.
import type { Position } from '../protocol/frames.ts';
import { bad, checkName, tooMuch } from './bounds.ts';
import { type Append, type Claim, type Coming, type Enter, type Keep, type Leave, streamLimits } from './streams.ts';

export type Start = { readonly after: Position } | { readonly history: number };
export type OwnedSession = { readonly session: string; readonly owner: number };
/** Both ends belong to it. */
export type Range = { readonly from: number; readonly to: number };
export type Reply = { readonly number: number; readonly settled: number; readonly data: string };

/** Every one may be repeated. */
export type StreamCall =
  | { readonly do: 'append'; readonly append: Append }
  | { readonly do: 'read'; readonly stream: string; readonly start: Start; readonly limit: number }
  | { readonly do: 'tops'; readonly streams: readonly string[]; readonly metaMs: number }
  | { readonly do: 'tail'; readonly streams: readonly string[] }
  | { readonly do: 'untail'; readonly streams: readonly string[] }
  | { readonly do: 'claim'; readonly claim: Claim }
  | { readonly do: 'keepSessions'; readonly sessions: readonly OwnedSession[]; readonly ttlMs: number }
  | { readonly do: 'endSession'; readonly session: string; readonly owner: number }
  | { readonly do: 'skipNumbers'; readonly session: string; readonly owner: number; readonly stream: string; readonly range: Range }
  | { readonly do: 'saveReply'; readonly session: string; readonly owner: number; readonly reply: Reply }
  | { readonly do: 'findReply'; readonly session: string; readonly number: number }
  | { readonly do: 'enter'; readonly enter: Enter }
  | { readonly do: 'leave'; readonly leave: Leave }
  | { readonly do: 'present'; readonly stream: string; readonly keep: Keep }
  | { readonly do: 'lapse'; readonly stream: string; readonly keep: Keep };

/** A call other than those that begin or end a tail, which belong to whoever listens. */
export type StoredCall = StreamCall & { readonly do: Exclude<StreamCall['do'], 'tail' | 'untail'> };

/** Throws EVENKEEL_BAD_OPTION or EVENKEEL_LIMIT. */
export function checkStreamCall(call: StreamCall): void {
  switch (call.do) {
    case 'append':
      return checkAppend(call.append);
    case 'read':
      checkName('the stream', call.stream);
      checkWhole('the limit', call.limit, 1);
      if (call.limit > streamLimits.entriesPerRead) throw tooMuch('the limit', `at most ${streamLimits.entriesPerRead} entries`, `${call.limit}`);
      return checkStart(call.start);
    case 'tops':
      checkMs('metaMs', call.metaMs);
      return checkNames('the streams', call.streams);
    case 'tail':
    case 'untail':
      return checkNames('the streams', call.streams);
    case 'enter':
      return checkEnter(call.enter);
    case 'leave':
      return checkComing(call.leave, call.leave.keep);
    case 'present':
    case 'lapse':
      checkName('the stream', call.stream);
      return checkKeep(call.keep);
    default:
      return checkSessionCall(call);
  }
}

type SessionCall = StreamCall & { readonly do: 'claim' | 'keepSessions' | 'endSession' | 'skipNumbers' | 'saveReply' | 'findReply' };

function checkSessionCall(call: SessionCall): void {
  switch (call.do) {
    case 'claim':
      return checkClaim(call.claim);
    case 'keepSessions':
      checkCount('the sessions', call.sessions);
      for (const { session, owner } of call.sessions) checkOwned(session, owner);
      return checkMs('ttlMs', call.ttlMs);
    case 'endSession':
      return checkOwned(call.session, call.owner);
    case 'skipNumbers':
      checkOwned(call.session, call.owner);
      checkName('the stream', call.stream);
      checkWhole('range.from', call.range.from, 1);
      return checkWhole('range.to', call.range.to, call.range.from);
    case 'saveReply':
      checkOwned(call.session, call.owner);
      checkWhole('the number', call.reply.number, 1);
      checkWhole('the settled number', call.reply.settled, 0);
      return checkData('the reply', call.reply.data);
    case 'findReply':
      checkName('the session', call.session);
      return checkWhole('the number', call.number, 1);
    default:
      // A newer guest, or no guest at all.
      throw bad('call.do', 'must be a call of the port', (call as { do: unknown }).do);
  }
}

function checkAppend(append: Append): void {
  const { stream, data, author, keep } = append;
  checkName('the stream', stream);
  checkData('the entry', data);
  checkKeep(keep);
  if (author.kind === 'id') return checkName('the id of the publication', author.id);
  if (author.kind !== 'session') throw bad('the author', "must be of kind 'session' or 'id'", (author as { kind: unknown }).kind);
  checkOwned(author.session, author.owner);
  checkWhole('the number', author.number, 1);
}

function checkEnter(enter: Enter): void {
  checkComing(enter, enter.keep);
  checkUser(enter.user);
  checkData('the entry of the join', enter.joined);
  checkData('the entry of the leave', enter.left);
  checkMs('ttlMs', enter.ttlMs);
}

function checkComing({ stream, client, owner, turn }: Coming, keep: Keep): void {
  checkName('the stream', stream);
  checkName('the client', client);
  checkWhole('the owner', owner, 0);
  checkWhole('the turn', turn, 0);
  checkKeep(keep);
}

function checkKeep(keep: Keep): void {
  checkWhole('keep.count', keep.count, 1);
  if (keep.count > streamLimits.entriesPerStream) throw tooMuch('keep.count', `at most ${streamLimits.entriesPerStream}`, `${keep.count}`);
  checkMs('keep.ageMs', keep.ageMs);
  checkMs('keep.metaMs', keep.metaMs);
}

function checkStart(start: Start): void {
  if ('history' in start) return checkWhole('the history', start.history, 0);
  checkName('the epoch', start.after.epoch);
  checkWhole('the offset', start.after.offset, 0);
}

function checkClaim(claim: Claim): void {
  checkName('the session', claim.session);
  checkName('the instance', claim.instance);
  checkWhole('the link', claim.link, 0);
  checkUser(claim.user);
  checkName('the node', claim.node);
  if (claim.ticket !== null) checkWhole('the ticket', claim.ticket, 0);
  if (typeof claim.create !== 'boolean') throw bad('create', 'must be true or false', claim.create);
  checkMs('ttlMs', claim.ttlMs);
}

function checkOwned(session: string, owner: number): void {
  checkName('the session', session);
  checkWhole('the owner', owner, 0);
}

function checkUser(user: string | null): void {
  if (user !== null) checkName('the user', user);
}

function checkNames(thing: string, names: readonly string[]): void {
  checkCount(thing, names);
  for (const name of names) checkName(thing, name);
}

function checkCount(thing: string, list: readonly unknown[]): void {
  if (!Array.isArray(list)) throw bad(thing, 'must be a list', typeof list);
  if (list.length > streamLimits.namesPerCall) throw tooMuch(thing, `at most ${streamLimits.namesPerCall}`, `${list.length}`);
}

function checkData(thing: string, data: string): void {
  if (typeof data !== 'string') throw bad(thing, 'must have a string as data', typeof data);
  const most = streamLimits.dataBytes;
  // No UTF-16 unit has more than three bytes: short strings need not be counted.
  if (data.length * 3 > most && Buffer.byteLength(data) > most) throw tooMuch(thing, `at most ${most} bytes`, `${Buffer.byteLength(data)}`);
}

function checkWhole(thing: string, number: number, least: number): void {
  if (!(Number.isSafeInteger(number) && number >= least)) throw bad(thing, `must be a whole number from ${least}`, number);
}

function checkMs(thing: string, ms: number): void {
  if (!(Number.isFinite(ms) && ms > 0)) throw bad(thing, 'must be a positive number of milliseconds', ms);
  if (ms > streamLimits.spanMs) throw tooMuch(thing, `at most ${streamLimits.spanMs} ms`, `${ms}`);
}
