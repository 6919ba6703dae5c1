// Values of the application as payloads and back, and how much of them may wait at a time.
import { frameLimits, type Payload } from '../protocol/frames.ts';
import { ClientError, notJson } from './errors.ts';

const encoder = new TextEncoder();

/** Bytes as they are, everything else as JSON; nothing (undefined) as null. */
export function toPayload(value: unknown): Payload {
  if (value instanceof Uint8Array) return { bytes: value };
  try {
    const json = JSON.stringify(value ?? null) as string | undefined;
    if (json !== undefined) return { json };
  } catch (error) {
    throw notJson('the value', error);
  }
  throw notJson(`a ${typeof value}`);
}

/** Throws where another client sent text that is not JSON. */
export const fromPayload = (payload: Payload): unknown => ('bytes' in payload ? payload.bytes : JSON.parse(payload.json));

export function checkName(name: string): void {
  if (name === '' || name.length > frameLimits.nameChars)
    throw new ClientError('badValue', `a name has 1 to ${frameLimits.nameChars} characters, not ${name.length}`);
}

/** Messages and bytes that may wait for the fleet; shared by messages and requests. */
export class Allowance {
  #messages: number;
  #bytes: number;

  constructor(messages: number, bytes: number) {
    this.#messages = messages;
    this.#bytes = bytes;
  }

  /** Answers with the bytes to give back. Throws when there is no room. */
  take(payload: Payload): number {
    const bytes = 'bytes' in payload ? payload.bytes.length : encoder.encode(payload.json).length;
    if (this.#messages < 1 || this.#bytes < bytes) throw new ClientError('full', `the outbox has room for ${this.#messages} messages and ${this.#bytes} bytes`);
    this.#messages--;
    this.#bytes -= bytes;
    return bytes;
  }

  give(bytes: number): void {
    this.#messages++;
    this.#bytes += bytes;
  }
}
