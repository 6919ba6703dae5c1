// What became of the sessions of a node since it was made: plain numbers, added up where it happens, read when somebody scrapes.

/** How a hello ended: gone on with a session, a new one that was wanted, a new one because the old one was over. */
export type HelloOutcome = 'resumed' | 'new' | 'over';

export class SessionTally {
  /** Sessions whose newest link is here, now. */
  open = 0;
  readonly hellos: Record<HelloOutcome, number> = { resumed: 0, new: 0, over: 0 };
  /** Topics on which a client was told that something is missing. */
  gaps = 0;
  /** Clients that were told to move with a ticket. */
  moves = 0;
  /** Links that were closed because their clients did not read. */
  slow = 0;
  /** Streams that this node follows for its clients, now. */
  streams = 0;
  /** What pages reported of themselves, by kind. */
  readonly vitals: Record<string, number> = {};
}
