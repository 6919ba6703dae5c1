// The part of the engine port that sessions and the hub are built on: streams with positions, sessions with one owner at a
// time, replies, presence. Each write is one atomic step and may be repeated. One conformance suite holds for all engines.
import type { Position } from '../protocol/frames.ts';

export interface Entry extends Position {
  /** As it was appended. */
  readonly data: string;
}

/** What a stream keeps. What is beyond is trimmed; positions before it get a gap. */
export interface Keep {
  /** Most entries. */
  readonly count: number;
  /** Entries older than this may go; the list of epochs and the top stay for `metaMs` after the last append or subscription. */
  readonly ageMs: number;
  readonly metaMs: number;
}

/**
 * Who appends. A session's numbers on a stream have no holes; `owner` fences off nodes that lost the session. An `id` names
 * one publication of a server: it takes effect once, also when the call is repeated within ten seconds.
 */
export type Author =
  | { readonly kind: 'session'; readonly session: string; readonly owner: number; readonly number: number }
  | { readonly kind: 'id'; readonly id: string };

export interface Append {
  readonly stream: string;
  readonly data: string;
  readonly author: Author;
  readonly keep: Keep;
}

export type Appended =
  | ({ readonly kind: 'appended' } & Position)
  /** It was appended before; nothing was done. */
  | { readonly kind: 'repeat' }
  | { readonly kind: 'hole'; readonly expected: number }
  /** The session has another owner, or is over. */
  | { readonly kind: 'fenced' };

/**
 * `page`: entries right after the asked position, in order, without holes, up to the limit or to about `streamLimits.pageBytes`.
 * There is more unless it ends at `top`; a page that does not begin at the top has one entry at least.
 */
export type Page =
  | { readonly kind: 'page'; readonly entries: readonly Entry[]; readonly top: Position }
  /** What followed the position is trimmed, or was lost: nothing can be promised before `top`. */
  | { readonly kind: 'gap'; readonly top: Position };

export interface Claim {
  readonly session: string;
  /** The client object: another instance never gets the session. */
  readonly instance: string;
  /** A link below the last one that claimed is too old. The same link may claim again: on the same node that is a repeat. */
  readonly link: number;
  readonly user: string | null;
  readonly node: string;
  /** With a ticket: the owner epoch that it was given under. Null: no ticket. */
  readonly ticket: number | null;
  /** Make the session if there is none. */
  readonly create: boolean;
  readonly ttlMs: number;
}

export type Claimed =
  /** `before`: the node that had it before, or null; `numbers`: last taken number by stream. A repeat gets the same, but a newer `owner`. */
  | {
      readonly kind: 'claimed';
      readonly owner: number;
      readonly before: string | null;
      readonly created: boolean;
      readonly numbers: Readonly<Record<string, number>>;
    }
  /** There is no such session any more, and none was to be made; none is made for a ticket. */
  | { readonly kind: 'unknown' }
  /** It belongs to another user or another instance. */
  | { readonly kind: 'foreign' }
  /** A newer link has it. */
  | { readonly kind: 'stale' }
  /** The ticket was used, or the session moved on since it was given. */
  | { readonly kind: 'spent' };

export interface PresentMember {
  readonly client: string;
  readonly user: string | null;
}

/** Whose coming is meant: those of one owner count upwards, so that a call that comes late undoes nothing that came after it. */
export interface Coming {
  /** Where joins and leaves are told; each such stream has one list of who is there. */
  readonly stream: string;
  readonly client: string;
  readonly owner: number;
  readonly turn: number;
}

export interface Enter extends Coming {
  readonly user: string | null;
  /** Entries of the stream: that it came, appended now if it was not there; and that it is gone, kept until that is told. */
  readonly joined: string;
  readonly left: string;
  readonly ttlMs: number;
  readonly keep: Keep;
}

export interface Leave extends Coming {
  readonly keep: Keep;
}

export interface Tail {
  close(): Promise<void>;
}

export type TailListener = (entry: Entry, stream: string) => void;

/**
 * Rejections are those of `Engine`. All calls but none are repeated when the link to the engine breaks under them, since
 * repeating does no harm.
 *
 * Epochs. A stream keeps a list of (epoch, first offset), the newest sixteen. An epoch's name stands for the engine's run and for
 * the moment when the epoch was opened, so that no two are the same, also not of a stream that was forgotten and began anew.
 * When a step finds that the run changed, it opens a new epoch at top + 1. A position continues only if its epoch is listed
 * and its offset is not beyond that epoch's last offset (the first of the next epoch less one, or the top): else what the client
 * saw was lost by the engine, and it gets a gap. (epoch, 0) is the position of a stream that never had an entry.
 */
export interface Streams {
  /** One atomic step: fence, number, append, trim, publish to the tails. */
  append(append: Append): Promise<Appended>;
  /**
   * What follows `after`, at most `limit` entries (1 to 1,000). `{ history: n }`: begins n entries before the top, or at the oldest
   * that is kept. A stream that is not there is made, for a minute.
   */
  read(stream: string, start: { readonly after: Position } | { readonly history: number }, limit: number): Promise<Page>;
  /** Where streams end now, in the order asked; a stream that is not there is made, and ends at (its epoch, 0). At most 1,000. */
  tops(streams: readonly string[], metaMs: number): Promise<readonly Position[]>;
  /**
   * Entries from now on, in order, until something is lost on the way, which can happen silently: whoever listens compares
   * offsets, and tops now and then. Resolves when what is appended from now on will arrive. Survives reconnects.
   * The listener is told the stream as well, so that one function can listen to many.
   */
  tail(stream: string, listener: TailListener): Promise<Tail>;

  /** Compare-and-set of the owner epoch, which grows with every claim that succeeds. */
  claim(claim: Claim): Promise<Claimed>;
  /** Keeps sessions alive for another `ttlMs`. Answers with those that this owner does not have (any more). At most 1,000. */
  keepSessions(sessions: readonly { readonly session: string; readonly owner: number }[], ttlMs: number): Promise<readonly string[]>;
  /** Ends the session at once, if `owner` has it. */
  endSession(session: string, owner: number): Promise<void>;
  /**
   * The numbers `from`..`to` will never be used: the next one is `to` + 1. Like `append` it answers `hole` where something before
   * `from` is missing, `repeat` where it is done (now, or before), `fenced`.
   */
  skipNumbers(session: string, owner: number, stream: string, range: { readonly from: number; readonly to: number }): Promise<Appended>;

  /** Stores a reply with its request's number, drops those up to `settled`. At most 100 are kept per session. False when fenced. */
  saveReply(session: string, owner: number, reply: { readonly number: number; readonly settled: number; readonly data: string }): Promise<boolean>;
  /** The stored reply, or null. */
  findReply(session: string, number: number): Promise<string | null>;

  /**
   * Presence: who is there is a list, and each change of it is an entry of its stream, made in the same step. So the entries between
   * two lists lead from the one to the other, whatever ends in between. Kept for `ttlMs`, and told as gone when that is over.
   * True when this was told now: it was not there. A repeat tells nothing, also when it comes within ten seconds after the leave;
   * nor does a coming before the one that is known.
   */
  enter(enter: Enter): Promise<boolean>;
  /** True when this was told now: it was there. Ignored when it came again since. */
  leave(leave: Leave): Promise<boolean>;
  /** Tells of those whose time is over, as `lapse` does, and says who is there then; at most 1,000. */
  present(stream: string, keep: Keep): Promise<readonly PresentMember[]>;
  /** Takes out those whose time is over and tells of each of them once; at most 100 a call. How many it were. */
  lapse(stream: string, keep: Keep): Promise<number>;
}

export const streamLimits = {
  dataBytes: 1_048_576,
  entriesPerRead: 1_000,
  /** Data in one page; the entry that goes beyond is its last. */
  pageBytes: 1_048_576,
  entriesPerStream: 100_000,
  namesPerCall: 1_000,
  repliesPerSession: 100,
  /** Streams on which one session publishes. */
  numbersPerSession: 1_000,
  presentPerStream: 100_000,
  lapsedPerCall: 100,
  epochsPerStream: 16,
  /** Longest time that anything is kept: ten years. */
  spanMs: 315_360_000_000,
  /** How long the id of a publication is remembered, and who left. */
  idMs: 10_000,
  /** A stream that only a read made. */
  readMs: 60_000,
  /** What an engine in memory keeps; Redis has its own limits. */
  streams: 1_000_000,
  sessions: 1_000_000,
  lists: 1_000_000,
  ids: 1_000_000,
} as const;
