// The calls of `Streams` as scripts on a Redis server, and their answers as values. Which keys a call needs is decided here; all
// of them begin alike, so that they share one hash slot.
import { EvenkeelError } from '../core/errors.ts';
import type { Position } from '../protocol/frames.ts';
import { tooMuch } from './bounds.ts';
import { OVER_LIMIT, type Script } from './redis-scripts.ts';
import { listMs } from './memory-presence.ts';
import * as presence from './redis-presence-scripts.ts';
import * as scripts from './redis-stream-scripts.ts';
import type { OwnedSession, StoredCall, StreamCall } from './stream-calls.ts';
import {
  type Append,
  type Appended,
  type Claim,
  type Claimed,
  type Coming,
  type Enter,
  type Entry,
  type Keep,
  type Page,
  type PresentMember,
  streamLimits,
} from './streams.ts';

/** Runs a script on keys that are still without the fleet's prefix. */
export type RunScript = (script: Script, keys: readonly string[], args: readonly string[]) => Promise<unknown>;

type Of<Verb extends StreamCall['do']> = StreamCall & { readonly do: Verb };

export class RedisStreams {
  readonly #run: RunScript;
  /** What all channels of this fleet begin with. */
  readonly #prefix: string;

  constructor(run: RunScript, prefix: string) {
    this.#run = run;
    this.#prefix = prefix;
  }

  async call(call: StoredCall): Promise<unknown> {
    switch (call.do) {
      case 'append':
        return this.#append(call.append);
      case 'read':
        return this.#read(call);
      case 'tops':
        return this.#tops(call);
      case 'claim':
        return this.#claim(call.claim);
      case 'keepSessions':
        return this.#keep(call.sessions, call.ttlMs);
      case 'endSession':
        await this.#run(scripts.endSession, sessionKeys(call.session), [`${call.owner}`]);
        return null;
      case 'skipNumbers': {
        const args = [`${call.owner}`, scripts.NUMBER_FIELD + call.stream, `${call.range.from}`, `${call.range.to}`];
        return appended(await this.#run(scripts.skipNumbers, [sessionKeys(call.session)[0]], args));
      }
      case 'saveReply': {
        const { number, settled, data } = call.reply;
        return (await this.#run(scripts.saveReply, sessionKeys(call.session), [`${call.owner}`, `${number}`, `${settled}`, data])) === 1;
      }
      case 'findReply':
        return textOrNull(await this.#run(scripts.findReply, [sessionKeys(call.session)[1]], [`${call.number}`]));
      case 'enter':
        return this.#enter(call.enter);
      case 'leave': {
        const { stream, client, keep } = call.leave;
        return (await this.#run(presence.leave, [...listKeys(stream), goneKey(call.leave)], [...this.#news(stream, keep), client, turnText(call.leave)])) === 1;
      }
      case 'present':
        return members(await this.#run(presence.present, listKeys(call.stream), this.#news(call.stream, call.keep)));
      case 'lapse':
        return this.#run(presence.lapse, listKeys(call.stream), this.#news(call.stream, call.keep));
    }
  }

  async #append({ stream, data, author, keep }: Append): Promise<Appended> {
    const byId = author.kind === 'id';
    const keys = [...streamKeys(stream), byId ? `id:${stream.length}:${stream}:${author.id}` : sessionKeys(author.session)[0]];
    const by = byId ? [''] : [`${author.owner}`, `${author.number}`, scripts.NUMBER_FIELD + stream];
    return appended(await this.#run(scripts.append, keys, [...this.#news(stream, keep), data, ...by]));
  }

  async #enter(enter: Enter): Promise<boolean> {
    const { stream, client, user, joined, left, ttlMs, keep } = enter;
    const member = `${turnText(enter)} ${JSON.stringify(user)}\n${left}`;
    const args = [...this.#news(stream, keep), client, member, joined, whole(ttlMs), whole(listMs(ttlMs, keep))];
    return within(await this.#run(presence.enter, [...listKeys(stream), goneKey(enter)], args), PRESENCE);
  }

  /** What all scripts that append are told first. */
  #news(stream: string, keep: Keep): readonly string[] {
    return [this.#prefix + tailChannel(stream), `${keep.count}`, whole(keep.ageMs), whole(Math.max(keep.ageMs, keep.metaMs))];
  }

  async #read({ stream, start, limit }: Of<'read'>): Promise<Page> {
    const from = 'after' in start ? [start.after.epoch, `${start.after.offset}`, ''] : ['', '', `${start.history}`];
    const [top, named, first, ...data] = list(await this.#run(scripts.read, streamKeys(stream), [...from, `${limit}`]));
    const epochs = readEpochs(String(named));
    const end: Position = { epoch: epochs[epochs.length - 1].epoch, offset: Number(top) };
    if (first === undefined) return { kind: 'gap', top: end };
    return { kind: 'page', entries: numbered(data as string[], Number(first), epochs), top: end };
  }

  async #tops({ streams, metaMs }: Of<'tops'>): Promise<readonly Position[]> {
    const keys = streams.map((stream) => streamKeys(stream)[0]);
    const answer = list(await this.#run(scripts.tops, keys, [whole(metaMs)]));
    return streams.map((_, i) => ({ epoch: `${answer[2 * i]}`, offset: Number(answer[2 * i + 1]) }));
  }

  async #claim({ session, instance, link, user, node, ticket, create, ttlMs }: Claim): Promise<Claimed> {
    const args = [instance, `${link}`, userText(user), node, ticket === null ? '' : `${ticket}`, create ? '1' : '', whole(ttlMs)];
    const [kind, owner, before, made, ...fields] = list(await this.#run(scripts.claim, sessionKeys(session), args));
    if (kind !== scripts.Claim.claimed) return { kind: REFUSED[kind as number] ?? 'unknown' };
    const numbers = pairs(fields).flatMap(([field, value]) =>
      field.startsWith(scripts.NUMBER_FIELD) ? [[field.slice(scripts.NUMBER_FIELD.length), Number(value)] as const] : [],
    );
    return {
      kind: 'claimed',
      owner: Number(owner),
      before: before === '' ? null : String(before),
      created: made === 1,
      numbers: Object.fromEntries(numbers),
    };
  }

  async #keep(sessions: readonly OwnedSession[], ttlMs: number): Promise<readonly string[]> {
    const keys = sessions.flatMap(({ session }) => sessionKeys(session));
    const owners = sessions.map(({ owner }) => `${owner}`);
    return list(await this.#run(scripts.keepSessions, keys, [whole(ttlMs), ...owners])).map((place) => sessions[Number(place) - 1].session);
  }
}

interface Limit {
  readonly thing: string;
  readonly most: number;
}

/** Whether a script answered yes; throws when it answered that a limit is reached. */
function within(answer: unknown, limit: Limit): boolean {
  if (answer === OVER_LIMIT) throw tooMuch(limit.thing, `at most ${limit.most}`, 'one more');
  return answer === 1;
}

const NUMBERS: Limit = { thing: 'the streams that a session publishes on', most: streamLimits.numbersPerSession };
const PRESENCE: Limit = { thing: 'the presence on a stream', most: streamLimits.presentPerStream };

const REFUSED: Readonly<Record<number, 'unknown' | 'foreign' | 'stale' | 'spent'>> = {
  [scripts.Claim.unknown]: 'unknown',
  [scripts.Claim.foreign]: 'foreign',
  [scripts.Claim.stale]: 'stale',
  [scripts.Claim.spent]: 'spent',
};

export const tailChannel = (stream: string): string => `tail:${stream}`;

const streamKeys = (stream: string): readonly [string, string] => [`stream:${stream}`, `entries:${stream}`];
const sessionKeys = (session: string): readonly [string, string] => [`session:${session}`, `replies:${session}`];
const listKeys = (stream: string): readonly string[] => [...streamKeys(stream), `present:${stream}`, `presence:${stream}`];
const goneKey = ({ stream, client }: Coming): string => `gone:${stream.length}:${stream}:${client}`;

/** What was published on a tail's channel: `offset epoch data`. Null when it was something else: any client may publish there. */
export function readTailed(text: string): Entry | null {
  const first = text.indexOf(' ');
  const second = text.indexOf(' ', first + 1);
  const offset = Number(text.slice(0, first));
  if (first < 1 || second < first + 2 || !Number.isSafeInteger(offset) || offset < 1) return null;
  return { offset, epoch: text.slice(first + 1, second), data: text.slice(second + 1) };
}

interface EpochStart {
  readonly epoch: string;
  readonly first: number;
}

function readEpochs(text: string): readonly EpochStart[] {
  return text.split(';').map((part) => {
    const [epoch = '', first = ''] = part.split(':');
    return { epoch, first: Number(first) };
  });
}

/** Entries without holes from `first` on, each with the epoch that its offset lies in. */
function numbered(data: readonly string[], first: number, epochs: readonly EpochStart[]): readonly Entry[] {
  let at = 0;
  return data.map((text, i) => {
    const offset = first + i;
    while (at + 1 < epochs.length && epochs[at + 1].first <= offset) at++;
    return { epoch: epochs[at].epoch, offset, data: text };
  });
}

const userText = (user: string | null): string => (user === null ? '' : `=${user}`);

const turnText = ({ owner, turn }: Coming): string => `${owner} ${turn}`;

function members(answer: unknown): readonly PresentMember[] {
  return pairs(list(answer)).map(([client, user]) => ({ client, user: JSON.parse(user) as string | null }));
}

function pairs(flat: readonly unknown[]): readonly (readonly [string, string])[] {
  return Array.from({ length: flat.length / 2 }, (_, i) => [String(flat[2 * i]), String(flat[2 * i + 1])]);
}

function list(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer;
  throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', `the server answered a script with ${typeof answer} where a list was due`);
}

const textOrNull = (answer: unknown): string | null => (typeof answer === 'string' ? answer : null);

export const whole = (ms: number): string => String(Math.ceil(ms));

/** What `append` and `skipNumbers` answer. */
function appended(answer: unknown): Appended {
  within(answer, NUMBERS);
  const [kind, number, epoch] = list(answer);
  if (kind === scripts.Append.appended) return { kind: 'appended', epoch: `${epoch}`, offset: Number(number) };
  if (kind === scripts.Append.hole) return { kind: 'hole', expected: Number(number) };
  return { kind: kind === scripts.Append.repeat ? 'repeat' : 'fenced' };
}
