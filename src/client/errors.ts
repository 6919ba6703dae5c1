// The one error of the client: a code to branch on, and a message that names the thing, the rule and the value.

/**
 * `refused`: the server said no, `status` says why (as HTTP). `undecided`: the session was lost; whether it took effect cannot be known.
 * `full`: the outbox holds as much as it may. `tooBig`: beyond what the node takes. `timeout`: no reply in time. `badValue`: not a
 * name, not JSON. `closed`: the client is closed, `status` is the close code. `noEndpoint`: the address, the token or the link failed.
 */
export type ClientErrorCode = 'refused' | 'undecided' | 'full' | 'tooBig' | 'timeout' | 'badValue' | 'closed' | 'noEndpoint';

export class ClientError extends Error {
  override readonly name = 'ClientError';
  readonly code: ClientErrorCode;
  readonly status: number | undefined;

  constructor(code: ClientErrorCode, message: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.status = status;
  }
}

/** It was sent, then the session was lost: it may have taken effect or not. */
export const undecided = (what: string): ClientError => new ClientError('undecided', `${what} was sent, then the session was lost`);

export const tooBig = (what: string, bytes: number, limit: number): ClientError => new ClientError('tooBig', `${what} has ${bytes} bytes, more than ${limit}`);

export const notJson = (what: string, cause?: unknown): ClientError => new ClientError('badValue', `${what} is not JSON`, undefined, cause);

export const refusal = (what: string, { code, message }: { readonly code: number; readonly message: string }): ClientError =>
  new ClientError('refused', `${what} was refused: ${message}`, code);
