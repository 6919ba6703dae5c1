// The head of a handshake as upstreams get it: the first one as the client said it, a later one from what is kept of that.
import { below, type Random } from '../../core/random.ts';
import type { Upgrade } from '../ports.ts';

/** What only this gateway says, and offers of extensions where the next upstream could not go on with them. */
const OURS = /^evenkeel[-_]reconnect:/i;
const OURS_OR_EXTENSION = /^(?:evenkeel[-_]reconnect|sec-websocket-extensions):/i;

/** What each handshake says anew: it is not kept for as long as the WebSocket lives. Another version than that of the RFC is. */
const ANEW = /^(?:(?:connection|upgrade|sec-websocket-key):|sec-websocket-version:[\t ]*13$)/i;
const VERSION = /^sec-websocket-version:/im;

const KEY_BYTES = 16;

/** The head of the client's handshake as it goes upstream, without its empty line. */
export function headOf(upgrade: Upgrade, outlives: boolean): string {
  return without(outlives ? OURS_OR_EXTENSION : OURS, upgrade.head.toString('latin1', 0, upgrade.head.length - 4));
}

/** What later handshakes need of the first one's head. */
export const keptOf = (head: string): string => without(ANEW, head);

/** The head of a later handshake, of what is kept; ends with an empty line. `number`: of this change of the upstream, from 1 on. */
export function headAgain(kept: string, number: number, random: Random): string {
  const version = VERSION.test(kept) ? '' : 'Sec-WebSocket-Version: 13\r\n';
  return `${kept}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${version}Sec-WebSocket-Key: ${freshKey(random)}\r\nEvenkeel-Reconnect: ${number}\r\n\r\n`;
}

/** Each connection has a key of its own (RFC 6455, section 4.1). It is no secret: it shows that the answer is to this handshake. */
function freshKey(random: Random): string {
  const bytes = Buffer.alloc(KEY_BYTES);
  for (let i = 0; i < KEY_BYTES; i++) bytes[i] = below(random, 256);
  return bytes.toString('base64');
}

function without(lines: RegExp, head: string): string {
  return head
    .split('\r\n')
    .filter((line) => !lines.test(line))
    .join('\r\n');
}
