// The first handshake: an upstream is chosen and asked, another one where that cannot be reached; its 101 is passed on to the
// client, and any other answer as a whole, after which the connection ends.
import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Timer } from '../../core/clock.ts';
import type { Framing } from '../http/framing.ts';
import { stickyLine } from '../http/sticky.ts';
import { countRefused, isRefused, type Ask, type ClientFacts, type Refused, type Upstream } from '../ports.ts';
import { framingOf, headerOf } from './answer.ts';
import { Attempt, type AttemptEvents, type Failure, type HeadOf } from './attempt.ts';
import { holdUpstream, type Stage, type Tunnel } from './tunnel.ts';

export interface Opening {
  readonly ask: Ask;
  readonly client: ClientFacts;
  /** As it is sent; ends with an empty line. */
  readonly head: string;
}

/** What a handshake that found nobody is answered with. */
const STATUS: Record<Failure, number> = { connect: 502, silence: 502, answer: 502, timeout: 504 };

export class OpeningStage implements Stage, AttemptEvents {
  readonly kind = 'opening';
  readonly #opening: Opening;
  #tunnel: Tunnel | null = null;
  #attempt: Attempt | null = null;
  #early: Buffer | null;
  #tried: Set<Upstream> | null = null;

  constructor(opening: Opening, rest: Buffer) {
    this.#opening = opening;
    this.#early = rest.length > 0 ? rest : null;
  }

  begin(tunnel: Tunnel): void {
    this.#tunnel = tunnel;
    this.#choose(tunnel, null);
  }

  /** Nobody speaks before the answer who is in no hurry: it is kept, and no more is read. */
  fromClient(_tunnel: Tunnel, chunk: Buffer): boolean {
    this.#early = this.#early === null ? chunk : Buffer.concat([this.#early, chunk]);
    return false;
  }

  fromUpstream(): boolean {
    return true;
  }

  clientEnded(tunnel: Tunnel): void {
    this.#attempt?.cancel();
    tunnel.client.destroy();
    tunnel.keeper.forget(tunnel, 'aborted');
  }

  upstreamEnded(): void {}

  leave(): void {
    this.#attempt?.cancel();
    this.#attempt = null;
  }

  #choose(tunnel: Tunnel, failure: Failure | null): void {
    const { group, keeper } = tunnel;
    const { ports } = keeper;
    const { ask, head, client } = this.#opening;
    const choice = group.choose(this.#tried === null ? ask : { ...ask, without: this.#tried });
    if (isRefused(choice)) return refuse(tunnel, failure === null || failure === 'connect' ? 503 : STATUS[failure], choice);
    choice.begin();
    tunnel.target = choice;
    this.#attempt = new Attempt(ports, { upstream: choice, client, head }, this);
  }

  failed(failure: Failure, error: Error): void {
    const tunnel = this.#tunnel;
    const { target } = tunnel ?? {};
    this.#attempt = null;
    if (!tunnel || !target) return;
    const { keeper, group } = tunnel;
    keeper.ports.log.info({ upstream: target.name, group: target.group, failure, error: error.message }, 'a WebSocket handshake with an upstream failed');
    tunnel.release('failed');
    this.#tried ??= new Set();
    this.#tried.add(target);
    // A handshake is a GET without a body: it may be sent again where nothing was answered.
    if (failure === 'timeout' || failure === 'answer' || this.#tried.size > group.settings.retries) return refuse(tunnel, STATUS[failure], null);
    keeper.ports.tally.retries++;
    this.#choose(tunnel, failure);
  }

  switched(socket: Socket, head: HeadOf, rest: Buffer): boolean {
    const { answer, raw } = head;
    const tunnel = this.#tunnel;
    const attempt = this.#attempt;
    this.#attempt = null;
    if (tunnel === null || attempt === null) return false;
    const { life, keeper } = tunnel;
    if (life !== null) {
      // The next upstream could not go on with what this one compressed.
      if (headerOf(answer, 'sec-websocket-extensions') !== undefined) {
        socket.destroy();
        this.failed('answer', new Error('the upstream must not name an extension that was not offered'));
        return false;
      }
      life.speak(headerOf(answer, 'sec-websocket-protocol'));
      life.attachedAt = keeper.ports.clock.turn();
    }
    tunnel.target?.answered(keeper.ports.clock.now() - attempt.startedAt);
    holdUpstream(tunnel, socket);
    tunnel.client.write(withCookie(tunnel, this.#opening, withoutBody(raw)));
    keeper.open(tunnel);
    const early = this.#early;
    this.#early = null;
    if (early === null || tunnel.stage.fromClient(tunnel, early)) tunnel.resumeClient();
    return rest.length === 0 || tunnel.stage.fromUpstream(tunnel, rest);
  }

  answered(socket: Socket, { answer, raw }: HeadOf, rest: Buffer): boolean {
    const tunnel = this.#tunnel;
    const attempt = this.#attempt;
    const framing = framingOf(answer);
    this.#attempt = null;
    if (tunnel === null || attempt === null || framing === null) {
      socket.destroy();
      this.failed('answer', new Error('the length of the answer must be said once'));
      return false;
    }
    const lines = raw.toString('latin1', 0, raw.length - 4).split('\r\n');
    const kept = lines.filter((line) => !/^(?:connection|keep-alive|proxy-connection|upgrade):/i.test(line));
    holdUpstream(tunnel, socket);
    const isTrouble = answer.status >= 500;
    // An answer that tells of trouble is no sign of life.
    if (!isTrouble) tunnel.target?.answered(tunnel.keeper.ports.clock.now() - attempt.startedAt);
    const stage = new AnsweringStage(tunnel, framing, isTrouble);
    tunnel.move(stage);
    tunnel.client.write(`${kept.join('\r\n')}\r\nConnection: close\r\n\r\n`, 'latin1');
    return stage.fromUpstream(tunnel, rest);
  }
}

/** An answer that is no 101 goes through to its end; what the client says meanwhile has nobody to hear it. */
class AnsweringStage implements Stage {
  readonly kind = 'answering';
  readonly #framing: Framing;
  readonly #hasFailed: boolean;
  readonly #timer: Timer;

  constructor(tunnel: Tunnel, framing: Framing, hasFailed: boolean) {
    const { clock, timeouts } = tunnel.keeper.ports;
    this.#framing = framing;
    this.#hasFailed = hasFailed;
    this.#timer = clock.after(timeouts.upstreamReadMs, () => end(tunnel, 'failed'));
  }

  fromClient(): boolean {
    return true;
  }

  fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean {
    const framing = this.#framing;
    const bytes = framing.cut(chunk, 0, null);
    const flows = framing.isBad || bytes === 0 || tunnel.toClient(chunk.subarray(0, bytes));
    if (framing.isBad) end(tunnel, 'failed');
    else if (framing.isDone) end(tunnel, this.#hasFailed ? 'failed' : 'ok');
    return flows;
  }

  clientEnded(tunnel: Tunnel): void {
    if (!tunnel.client.destroyed) return;
    end(tunnel, 'aborted');
  }

  upstreamEnded(tunnel: Tunnel): void {
    end(tunnel, this.#hasFailed || !this.#framing.isOpen ? 'failed' : 'ok');
  }

  leave(): void {
    this.#timer.cancel();
  }
}

function end(tunnel: Tunnel, outcome: 'ok' | 'failed' | 'aborted'): void {
  tunnel.upstream?.destroy();
  tunnel.upstream = null;
  tunnel.release(outcome);
  tunnel.keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome });
}

/** Nobody takes it: the group's own answer, or the status. */
export function refuse(tunnel: Tunnel, status: number, refused: Refused | null): void {
  const { tally } = tunnel.keeper.ports;
  const { fallback } = tunnel.group.settings;
  const answer = fallback ?? { status, contentType: 'text/plain', body: `${status} ${STATUS_CODES[status] ?? ''}\n` };
  countRefused(tally, answer.status);
  const retry = refused === null ? '' : `Retry-After: ${Math.max(1, Math.ceil(refused.retryAfterS))}\r\n`;
  const lines = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\nContent-Type: ${answer.contentType}\r\n`;
  tunnel.client.write(`${lines}Content-Length: ${Buffer.byteLength(answer.body)}\r\n${retry}Connection: close\r\n\r\n${answer.body}`);
  tunnel.keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'failed' });
}

/** A 101 that speaks of a body may not (RFC 9110, section 8.6), and some clients would wait for it. */
function withoutBody(raw: Buffer): Buffer {
  const text = raw.toString('latin1');
  const kept = text.replaceAll(/\r\n(?:content-length|transfer-encoding):[^\r\n]*/gi, '');
  return kept.length === text.length ? raw : Buffer.from(kept, 'latin1');
}

/** The upstream's head, and the cookie that names it for the next time. */
function withCookie({ target, group }: Tunnel, { ask, client }: Opening, raw: Buffer): Buffer {
  const line = stickyLine(group, ask, target, client);
  return line === '' ? raw : Buffer.concat([raw.subarray(0, raw.length - 2), Buffer.from(`${line}\r\n`, 'latin1')]);
}
