// Values of the application as payloads and back, and how much of them may wait at a time.
import { frameLimits, type Payload } from '../protocol/frames.ts';
import { ClientError, notJson } from './errors.ts';

const encoder = new TextEncoder();

/** Bytes as they are, everything else as JSON; nothing (undefined) as null. */
export function toPayload(value: unknown): Payload {
  if (value instanceof Uint8Array) return { bytes: value };
  let cause: unknown;
  try {
    const json = JSON.stringify(value ?? null) as string | undefined;
    if (json !== undefined) return { json };
  } catch (error) {
    cause = error;
  }
  throw notJson(`the ${typeof value}`, cause);
}

/** Throws where another client sent text that is not JSON. */
export const fromPayload = (payload: Payload): unknown => ('bytes' in payload ? payload.bytes : JSON.parse(payload.json));

export const sizeOf = (payload: Payload): number => ('bytes' in payload ? payload.bytes : encoder.encode(payload.json)).length;

export function checkName(name: string): void {
  if (name === '' || name.length > frameLimits.nameChars)
    throw new ClientError('badValue', `a name has 1 to ${frameLimits.nameChars} characters, not ${name.length}`);
}

/** A message or a request that waits for the fleet. It is settled once; after that, settling it does nothing. */
export interface Held<T> {
  /** 0 until it is sent for the first time. */
  number: number;
  readonly payload: Payload;
  readonly bytes: number;
  readonly resolve: (value: T) => void;
  readonly reject: (error: ClientError) => void;
}

/** Messages and bytes that may wait for the fleet; shared by messages and requests. */
export class Allowance {
  #messages: number;
  #bytes: number;

  constructor(messages: number, bytes: number) {
    this.#messages = messages;
    this.#bytes = bytes;
  }

  /** Hands what waits to `keep`; what it takes is given back when that is resolved or rejected. Throws when there is no room. */
  hold<T>(payload: Payload, keep: (held: Held<T>) => void): Promise<T> {
    let messages = 1;
    let bytes = sizeOf(payload);
    if (this.#messages < 1 || this.#bytes < bytes) throw new ClientError('full', `the outbox has room for ${this.#messages} messages, ${this.#bytes} bytes`);
    this.#messages--;
    this.#bytes -= bytes;
    const giving =
      <V>(settle: (value: V) => void) =>
      (value: V): void => {
        this.#messages += messages;
        this.#bytes += bytes;
        messages = bytes = 0;
        settle(value);
      };
    return new Promise((resolve, reject) => keep({ number: 0, payload, bytes, resolve: giving(resolve), reject: giving(reject) }));
  }
}
