// What became of the sessions of a node since it was made: plain numbers, added up where it happens, read when somebody scrapes.

/** How a hello ended: gone on with a session, a new one that was wanted, a new one because the old one was over. */
export type HelloOutcome = 'resumed' | 'new' | 'over';

type PageCount = 'reports' | 'errors' | 'reconnects' | 'longTasks' | 'roundTrips' | 'firstPaints' | 'firstContentfulPaints';
type PageSum = 'longTaskMs' | 'roundTripMs' | 'firstPaintMs' | 'firstContentfulPaintMs';
export type PageTally = Record<PageCount | PageSum, number>;

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
  /** What pages reported of themselves: counts, and sums in ms. */
  readonly pages: PageTally = {
    reports: 0,
    errors: 0,
    reconnects: 0,
    longTasks: 0,
    longTaskMs: 0,
    roundTrips: 0,
    roundTripMs: 0,
    firstPaints: 0,
    firstPaintMs: 0,
    firstContentfulPaints: 0,
    firstContentfulPaintMs: 0,
  };
}
