// Links of a Node process: over `ws`, which, unlike browsers, can read why a handshake was refused.
import { WebSocket } from 'ws';
import { CloseCode } from '../../protocol/close-codes.ts';
import { linksOver, type LinkEnd, type LinkFactory, type WebSocketClass } from '../link.ts';

/** Larger messages end the link. A node sends many frames in one message, each with up to 700,000 bytes, or 4/3 of it as base64. */
const LARGEST_BYTES = 16 * 1_048_576;

export const nodeLinks: LinkFactory = (url, protocol, events) => {
  let refusal: LinkEnd | null = null;
  const Socket = function (this: never, address: string, name: string) {
    const socket = new WebSocket(address, name, { perMessageDeflate: false, maxPayload: LARGEST_BYTES });
    socket.on('unexpected-response', (request, response) => {
      refusal = refusalOf(response.statusCode ?? 0, response.headers['retry-after']);
      request.destroy();
      response.destroy();
      socket.terminate();
    });
    socket.on('error', () => {});
    return socket;
  } as unknown as WebSocketClass;
  return linksOver(Socket)(url, protocol, { ...events, closed: (end) => events.closed(refusal ?? end) });
};

/** A 503 that says when to come back is told as a 1013. */
function refusalOf(status: number, retryAfter: string | undefined): LinkEnd {
  const seconds = Number(retryAfter);
  if (status === 503 && seconds >= 0) return { code: CloseCode.tryLater, reason: JSON.stringify({ retryMs: seconds * 1000 }) };
  return { code: 1006, reason: `the handshake was answered with ${status}` };
}
