// What the supervisor and its workers say to each other.
import type { ErrorCode } from '../../core/errors.ts';

export type ToWorker<S> =
  /** Open the gateway. `slot`: which of the workers that serve at a time it is, from 0. */
  | { readonly kind: 'open'; readonly settings: S; readonly slot: number; readonly ticketKeys: Uint8Array }
  /** Seal tickets of TLS sessions with these from now on. */
  | { readonly kind: 'ticket-keys'; readonly ticketKeys: Uint8Array }
  | { readonly kind: 'reload'; readonly settings: S }
  /** Empty yourself, and end. `replaced`: others listen already, so stop accepting at once; else when balancers have noticed. */
  | { readonly kind: 'drain'; readonly replaced: boolean };

export type FromWorker =
  /** It listens to what it is told from now on; what was said before is lost. */
  | { readonly kind: 'up' }
  | { readonly kind: 'ready'; readonly facts: unknown }
  /** It did not open; the worker ends. */
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  /** `refused`: why what is new could not be taken over, in one line; null: it is in force. */
  | { readonly kind: 'reloaded'; readonly refused: string | null };
