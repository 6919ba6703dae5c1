// Finds its way through a chunked body without copying it: where it ends, whether it is well formed, and, where wanted,
// which bytes are payload. Extensions and trailers are bounded.
import { BACKSLASH, CR, EQUALS, HEX, LF, QUOTE, SEMICOLON, TOKEN, VALUE } from './characters.ts';
import { field, known, readField } from './fields.ts';

type State =
  | 'size'
  /** Behind a semicolon. */
  | 'extension'
  | 'extension name'
  /** Behind an equals sign. */
  | 'value'
  | 'extension value'
  | 'quoted'
  | 'escaped'
  | 'after quoted'
  | 'size end'
  | 'data'
  | 'data end'
  | 'data end 2'
  | 'trailer'
  | 'trailer end'
  | 'done'
  | 'bad';

/** Extensions of all chunks of a body together; nobody needs them, and each chunk could carry some. */
const EXTENSION_BYTES = 16_384;

/** Trailers, with their line ends. */
const TRAILER_BYTES = 8_192;

/** More digits than these are no size that anybody means: 2^52. */
const SIZE_DIGITS = 13;

export class Chunks {
  /** Bytes of payload so far. */
  payload = 0;
  /** Trailers so far, with their line ends. */
  trailers = '';
  #state: State = 'size';
  /** Of the present chunk, still to come. */
  #left = 0;
  #digits = 0;
  #extensionBytes = 0;
  #trailer = '';
  #trailerBytes = 0;

  get isDone(): boolean {
    return this.#state === 'done';
  }

  get isBad(): boolean {
    return this.#state === 'bad';
  }

  /** Reads on from `at`; returns where it stopped: behind the body, at what is wrong, or at the end of the bytes. Payload goes to `into`. */
  advance(bytes: Buffer, at: number, into: Buffer[] | null): number {
    let i = at;
    while (i < bytes.length) {
      const state = this.#state;
      if (state === 'done' || state === 'bad') return i;
      if (state === 'data') {
        const step = Math.min(this.#left, bytes.length - i);
        into?.push(bytes.subarray(i, i + step));
        this.payload += step;
        i += step;
        if ((this.#left -= step) === 0) this.#state = 'data end';
      } else {
        this.#state = this.#step(bytes[i++]);
      }
    }
    return i;
  }

  #step(byte: number): State {
    switch (this.#state) {
      case 'size':
        return this.#size(byte);
      case 'size end':
        if (byte !== LF) return 'bad';
        this.#digits = 0;
        return this.#left === 0 ? 'trailer' : 'data';
      case 'data end':
        return byte === CR ? 'data end 2' : 'bad';
      case 'data end 2':
        return byte === LF ? 'size' : 'bad';
      case 'trailer':
      case 'trailer end':
        return this.#trailers(byte);
      default:
        return ++this.#extensionBytes > EXTENSION_BYTES ? 'bad' : this.#extension(byte);
    }
  }

  #size(byte: number): State {
    const digit = HEX[byte];
    if (digit !== 255) {
      this.#left = this.#left * 16 + digit;
      return ++this.#digits > SIZE_DIGITS ? 'bad' : 'size';
    }
    if (this.#digits === 0) return 'bad';
    if (byte === CR) return 'size end';
    return byte === SEMICOLON ? 'extension' : 'bad';
  }

  /** `;name`, `;name=token` or `;name="quoted"`, without spaces. */
  #extension(byte: number): State {
    switch (this.#state) {
      case 'quoted':
        if (byte === BACKSLASH) return 'escaped';
        if (byte === QUOTE) return 'after quoted';
        return VALUE[byte] === 1 ? 'quoted' : 'bad';
      case 'escaped':
        return VALUE[byte] === 1 ? 'quoted' : 'bad';
      case 'extension':
        return TOKEN[byte] === 1 ? 'extension name' : 'bad';
      case 'value':
        if (byte === QUOTE) return 'quoted';
        return TOKEN[byte] === 1 ? 'extension value' : 'bad';
      case 'extension name':
        if (byte === EQUALS) return 'value';
        break;
      default:
    }
    if (byte === CR) return 'size end';
    if (byte === SEMICOLON) return 'extension';
    return TOKEN[byte] === 1 && this.#state !== 'after quoted' ? this.#state : 'bad';
  }

  #trailers(byte: number): State {
    if (++this.#trailerBytes > TRAILER_BYTES) return 'bad';
    this.#trailer += String.fromCharCode(byte);
    if (this.#state === 'trailer') return byte === CR ? 'trailer end' : byte === LF ? 'bad' : 'trailer';
    if (byte !== LF) return 'bad';
    const line = this.#trailer;
    this.#trailer = '';
    if (line === '\r\n') return 'done';
    if (!isTrailer(line)) return 'bad';
    this.trailers += line;
    return 'trailer';
  }
}

/** Whoever merges trailers into the head must not find there what frames, routes or names the client. */
function isTrailer(line: string): boolean {
  if (!readField(line, 0)) return false;
  const name = known(line, 0, field.nameEnd);
  return name === null || name === 'trailer';
}
