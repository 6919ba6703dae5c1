// Why a connection is told to go, and what the client may be told about it. Reason codes appear in logs, metrics and tables.

export type GoodbyeReason =
  /** An order of the coordinator: the node carries more than its share. */
  | 'rebalance'
  /** The node is being emptied. */
  | 'drain'
  /** The connection carried its maximum of requests. */
  | 'max-requests'
  /** The connection reached its maximum age. */
  | 'max-age'
  /** Nothing was heard for the idle time. */
  | 'idle'
  /** The client did not answer probes: half-open. */
  | 'dead'
  /** An operator asked for it. */
  | 'operator';

export interface Goodbye {
  readonly reason: GoodbyeReason;
  /** Plan that the move belongs to, for the audit line; null when no plan asked. */
  readonly plan: string | null;
  /** Node to go to, where the client can be told. */
  readonly target: { readonly id: string; readonly address: string } | null;
}

/** A move is a connection closed by an order, wherever its client lands. */
export const isMove = (reason: GoodbyeReason): boolean => reason === 'rebalance';
