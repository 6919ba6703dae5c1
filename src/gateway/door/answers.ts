// What the door itself says to HTTP clients that it does not let in, ready to be written.
import type { Refusal } from './guard.ts';

/** 503 says that the gateway is full, 429 that this client asks for too much. */
export function refusalAnswer({ limit, retryAfterS }: Refusal): Buffer {
  if (limit === 'connections') return answer('503 Service Unavailable', 'too many connections', retryAfterS);
  const what = limit === 'per-address' ? 'too many connections of this address' : 'too many new connections of this address';
  return answer('429 Too Many Requests', what, retryAfterS);
}

/** HTTP/2 without having been agreed on, where it is not served. */
export const noHttp2: Buffer = answer('505 HTTP Version Not Supported', 'HTTP/2 is not served here', null);

function answer(status: string, text: string, retryAfterS: number | null): Buffer {
  const body = `${text}\n`;
  const retry = retryAfterS === null ? '' : `Retry-After: ${retryAfterS}\r\n`;
  return Buffer.from(`HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n${retry}Connection: close\r\n\r\n${body}`, 'latin1');
}
