// A seat is one established way to reach an engine: a link to its host, the host itself, a pair of Redis connections.
// Engines that can be lost and found again (`local`, `redis`) only say how to take a seat; the rest is common to them.
import type { NodeRecord } from '../core/membership.ts';
import type { Json } from './engine.ts';
import type { StreamCall } from './stream-calls.ts';
import type { Entry } from './streams.ts';

/** Every call of the port as data, as it travels to a host. Arguments have been checked against the limits. */
export type Call =
  | StreamCall
  | { readonly do: 'put'; readonly record: NodeRecord; readonly ttlMs: number }
  | { readonly do: 'list' }
  | { readonly do: 'acquire'; readonly name: string; readonly holder: string; readonly ttlMs: number }
  | { readonly do: 'release'; readonly name: string; readonly holder: string }
  | { readonly do: 'holder'; readonly name: string }
  | { readonly do: 'send'; readonly to: string; readonly message: Json }
  | { readonly do: 'open'; readonly inbox: string }
  | { readonly do: 'shut'; readonly inbox: string }
  | { readonly do: 'get'; readonly key: string }
  | { readonly do: 'set'; readonly key: string; readonly value: Json }
  | { readonly do: 'ping' };

export interface Seat {
  /**
   * Answers the calls of `Streams` with what they resolve to. Answers `list` with an array of records, `acquire` with a fence or null, `holder` and `get` with the value, all else
   * with null. Opening an inbox or a tail twice, or shutting one that is not open, does nothing. Rejects with
   * EVENKEEL_ENGINE_UNREACHABLE when the seat is no good any more, with another EvenkeelError when the call is refused.
   */
  call(call: Call): Promise<Json>;
  /** Gives back all that belongs to the seat; calls under way reject. Safe to call twice. */
  leave(): void;
}

/** What a seat tells its owner. */
export interface SeatOwner {
  deliver(inbox: string, message: Json): void;
  /** An entry of a stream that is tailed. */
  entry(stream: string, entry: Entry): void;
  /** The seat is no good any more. Safe to call at any time, and more than once. */
  lost(reason: string): void;
  /** Aborted when the attempt takes too long or is no longer wanted; what was opened must then be given back. */
  readonly signal: AbortSignal;
}

/** Rejects with EVENKEEL_ENGINE_UNREACHABLE to be asked again later; with any other code when trying again is pointless. */
export type TakeSeat = (owner: SeatOwner) => Promise<Seat>;
