// Which bytes may stand where in an HTTP/1.1 head (RFC 9110 and 9112), as tables: one look-up a byte.

function table(allows: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => (allows(code) ? 1 : 0));
}

const among = (characters: string) => (code: number) => characters.includes(String.fromCharCode(code));

const isAlphanumeric = among('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz');
const isTokenMark = among("!#$%&'*+-.^_`|~");
const isHostMark = among('-._~%:[]');

/** Methods, field names, what `Connection` lists. */
export const TOKEN: Uint8Array = table((code) => isAlphanumeric(code) || isTokenMark(code));

/** Field values: everything visible, space and tab, and bytes above ASCII. */
export const VALUE: Uint8Array = table((code) => code === 9 || (code >= 32 && code !== 127));

/** Request targets: visible ASCII. A fragment belongs to no request. */
export const TARGET: Uint8Array = table((code) => code > 32 && code < 127 && code !== 35);

/** `Host`: names, addresses, a port. Narrower than a URI's authority, in which commas and the like could hide a second host. */
export const HOST: Uint8Array = table((code) => isAlphanumeric(code) || isHostMark(code));

/** Values of hexadecimal digits; 255: none. */
export const HEX: Uint8Array = Uint8Array.from({ length: 256 }, (_, code) => {
  const value = among('0123456789abcdefABCDEF')(code) ? Number.parseInt(String.fromCharCode(code), 16) : 255;
  return value;
});

export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;
export const QUOTE = 34;
export const DASH = 45;
export const COLON = 58;
export const SEMICOLON = 59;
export const EQUALS = 61;
export const BACKSLASH = 92;
export const UNDERSCORE = 95;

/** Whether `text` from `start` to `end` is `name` (lower case), in any case. Only for what is known to be a token. */
export function isNamed(text: string, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) if ((text.charCodeAt(start + i) | 0x20) !== name.charCodeAt(i)) return false;
  return true;
}

export function isAllOf(text: string, allowed: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (allowed[text.charCodeAt(i)] !== 1) return false;
  return true;
}
