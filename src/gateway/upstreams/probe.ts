// One health check over a connection of its own: it can be made, or a GET of the path is answered with 2xx or 3xx. Connections are
// the dialer's, so that TLS and the PROXY header are those of real traffic.
import type { Socket } from 'node:net';
import type { Clock } from '../../core/clock.ts';
import type { Dialer, Upstream } from '../ports.ts';
import type { Probe } from './checks.ts';
import { nameOf } from './discovery/source.ts';

/** The status line comes first; who sends more than this without one speaks no HTTP. */
const STATUS_LINE_BYTES = 256;

export interface ProbePorts {
  readonly clock: Clock;
  readonly dialer: Dialer;
}

export const dialledProbe =
  ({ clock, dialer }: ProbePorts): Probe =>
  (upstream, settings, done) => {
    const over = (failure: string | null): void => {
      if (ended) return;
      ended = true;
      limit.cancel();
      if (failure === null) leave(socket, clock, settings.timeoutMs);
      else socket.destroy();
      done(failure);
    };
    let ended = false;
    const limit = clock.after(settings.timeoutMs, () => over(`no answer within ${settings.timeoutMs} ms`));
    const socket: Socket = dialer.dial(upstream, null, {
      ready: () => (settings.path === null ? over(null) : ask(socket, { upstream, path: settings.path }, over)),
      failed: (error) => over(error.message),
    });
    socket.on('error', (error) => over(error.message));
    return {
      cancel() {
        ended = true;
        limit.cancel();
        socket.destroy();
      },
    };
  };

function ask(socket: Socket, { upstream, path }: { readonly upstream: Upstream; readonly path: string }, over: (failure: string | null) => void): void {
  let text = '';
  socket.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1', 0, STATUS_LINE_BYTES);
    const [, status] = /^HTTP\/1\.[01] (\d{3})[ \r\n]/.exec(text) ?? [];
    if (status !== undefined) over(/^[23]/.test(status) ? null : `GET ${path} must be answered with 2xx or 3xx, got ${status}`);
    else if (text.length >= STATUS_LINE_BYTES || text.includes('\n'))
      over(`GET ${path} must be answered in HTTP/1.1, got ${JSON.stringify(text.slice(0, 40))}`);
  });
  // The gateway's sockets do not end by themselves when the other side ends.
  for (const event of ['end', 'close']) socket.on(event, () => over(`GET ${path} must be answered, got the end of the connection`));
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${nameOf(upstream.address)}\r\nUser-Agent: evenkeel-health-check\r\nAccept: */*\r\nConnection: close\r\n\r\n`);
}

/** Ends without a reset: what the upstream still sends is read until it ends too, for a while. */
function leave(socket: Socket, clock: Clock, patienceMs: number): void {
  const limit = clock.after(patienceMs, () => socket.destroy());
  socket.on('close', () => limit.cancel());
  socket.resume();
  socket.end();
}
