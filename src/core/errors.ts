// The one error class and the table of its codes. A message names the thing, the rule and the value.

const brand = Symbol.for('evenkeel.error');

/** Every code, what it means and what to do about it. The reference page `docs/reference/errors.md` lists the same codes. */
export const errorCodes = {
  EVENKEEL_BAD_OPTION: 'An option, flag or argument is unknown or outside its range. Correct it; nothing was started.',
  EVENKEEL_BAD_CONFIG: 'A configuration file has mistakes; the message has a line for each. Correct them; nothing was changed.',
  EVENKEEL_ENGINE_UNREACHABLE: 'The engine did not answer. Check its address; the node keeps serving and sheds nothing.',
  EVENKEEL_ENGINE_CLOSED: 'The engine was used after close(). This is a mistake in the calling code.',
  EVENKEEL_PORT_TAKEN: 'Another process listens on the wanted address. Choose another port.',
  EVENKEEL_NOT_SUPPORTED: 'The server handed to attach() or sessions() is not of a kind that Evenkeel knows.',
  EVENKEEL_NODE_CLOSED: 'The node was handed a server after close(). This is a mistake in the calling code.',
  EVENKEEL_ALREADY_ATTACHED: 'The server was attached before, here or to another node, or its path lets sessions in already. Attach each server once.',
  EVENKEEL_UNKNOWN_NODE: 'No node of that id is in the fleet. `evenkeel fleet status` lists the ids.',
  EVENKEEL_UNKNOWN_CONNECTION: 'No connection of that id is open on the node.',
  EVENKEEL_UNKNOWN_UPSTREAM: 'No upstream of that name is in the group. The message lists those that are.',
  EVENKEEL_UNKNOWN_GROUP: 'The gateway has no group of that name. The message lists those that it has.',
  EVENKEEL_CANNOT_MOVE: 'The WebSocket cannot be moved to another upstream now. The message says why.',
  EVENKEEL_EMPTIED: 'The node, or the gateway, was emptied and does not listen any more. Start its process anew.',
  EVENKEEL_CONNECTION_ENDED: 'The connection was told to go and its sending side is closed. What was written after that was not sent.',
  EVENKEEL_TOO_MANY_CLIENTS: 'The file limit of the machine does not allow that many clients. The message names the number that fits.',
  EVENKEEL_UPSTREAM_UNREACHABLE: 'A connection from the gateway to an upstream could not be made; the message says to which, and why.',
  EVENKEEL_NO_ANSWER: 'A node did not answer a request in time.',
  EVENKEEL_NOT_DELIVERED: 'Messages between the clients of a swarm did not arrive as promised. The message counts the faults; the report has all figures.',
  EVENKEEL_LIMIT: 'A limit of the product was reached; the message names it.',
  EVENKEEL_UNAUTHORIZED: 'The admin API was called without its token, or from a web page or host name that is not its own.',
  EVENKEEL_INTERNAL: 'A mistake inside Evenkeel. The log has the details; please report it.',
} as const;

export type ErrorCode = keyof typeof errorCodes;

export class EvenkeelError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'EvenkeelError';
    this.code = code;
    Object.defineProperty(this, brand, { value: true });
  }

  /** True for errors of any copy of this package, also one that another dependency installed. */
  static is(value: unknown): value is EvenkeelError {
    return typeof value === 'object' && value !== null && (value as Record<symbol, unknown>)[brand] === true;
  }
}

/** Stops on a mistake of the programmer, also in production, with the reason. */
export function assert(condition: boolean, why: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${why}`);
}
