// The stages of a WebSocket that has its upstream: passed on both ways, waiting for a boundary to be told to go, and ending.
import type { Timer } from '../../core/clock.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { closeCodeOf, closeFrame, found, freshMask } from './frames.ts';
import type { Parting, Stage, Tunnel } from './tunnel.ts';

const nothing = (): void => {};

/** RFC 6455, section 7.4.1. */
const GOING_AWAY = 1001;
const PROTOCOL_ERROR = 1002;

/** Both directions are passed on. The hot path: one look at each header, no copy. */
export const openStage: Stage = { kind: 'open', fromClient, fromUpstream, clientEnded, upstreamEnded, leave: nothing };

function fromClient(tunnel: Tunnel, chunk: Buffer): boolean {
  const stream = tunnel.fromClient;
  tunnel.up += chunk.length;
  const data = stream.held === null ? chunk : stream.join(chunk);
  const isInFrame = stream.left > 0;
  const end = stream.advance(data, tunnel.whole);
  if (found.what !== 'nothing') return endedByClient(tunnel, data, end);
  tunnel.life?.replay?.record(isInFrame ? null : data.subarray(0, end));
  if (end < data.length) stream.hold(data, end);
  return end === 0 || tunnel.toUpstream(end === data.length ? data : data.subarray(0, end));
}

function fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean {
  const stream = tunnel.fromUpstream;
  tunnel.down += chunk.length;
  const data = stream.held === null ? chunk : stream.join(chunk);
  const end = stream.advance(data, tunnel.whole);
  if (found.what !== 'nothing') return endedByUpstream(tunnel, data, end);
  if (end < data.length) stream.hold(data, end);
  return end === 0 || tunnel.toClient(end === data.length ? data : data.subarray(0, end));
}

/** `data` up to `end` finishes with a Close, or with what no WebSocket says. */
export function endedByClient(tunnel: Tunnel, data: Buffer, end: number): boolean {
  const isClose = found.what === 'close';
  if (end > 0) tunnel.toUpstream(data.subarray(0, end));
  if (isClose) tunnel.keeper.finish(tunnel, { toClient: true, toUpstream: false, ours: false, outcome: 'ok' });
  else tunnel.keeper.close(tunnel, PROTOCOL_ERROR, 'not a WebSocket frame');
  return true;
}

export function endedByUpstream(tunnel: Tunnel, data: Buffer, end: number): boolean {
  const { what, closeAt } = found;
  const { keeper, life } = tunnel;
  if (what === 'violation') {
    if (end > 0) tunnel.toClient(data.subarray(0, end));
    keeper.close(tunnel, CloseCode.failed, 'the server sent what is not a WebSocket frame');
    return true;
  }
  const code = closeCodeOf(data, closeAt);
  // A node of sessions that is full tells its client when to come back, and who has been told is let in first.
  const isForClient = tunnel.stage.kind === 'parting' || (code === CloseCode.tryLater && life?.kind !== 'plain');
  const isLost = life !== null && !isForClient && tunnel.group.settings.websocket.abnormalCodes.includes(code);
  tunnel.toClient(data.subarray(0, isLost ? closeAt : end));
  if (isLost) keeper.detach(tunnel, { kind: 'lost', code });
  else keeper.finish(tunnel, { toClient: false, toUpstream: true, ours: false, outcome: code === CloseCode.failed ? 'failed' : 'ok' });
  return true;
}

/** Its sending side is closed, or all of it, without a Close. */
function clientEnded(tunnel: Tunnel): void {
  tunnel.keeper.finish(tunnel, { toClient: true, toUpstream: false, ours: false, outcome: 'aborted' });
  tunnel.stage.clientEnded(tunnel);
}

function upstreamEnded(tunnel: Tunnel): void {
  tunnel.keeper.detach(tunnel, { kind: 'lost', code: 1006 });
}

/** Passed on until the client's direction is at a boundary; then comes our Close. */
export class PartingStage implements Stage {
  readonly kind = 'parting';
  readonly #code: number;
  readonly #reason: string;
  readonly #timer: Timer;

  constructor(tunnel: Tunnel, code: number, reason: string) {
    const { clock, transport } = tunnel.keeper.ports;
    this.#code = code;
    this.#reason = reason;
    this.#timer = clock.after(transport.limits.goodbyeMs, () =>
      tunnel.keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'ok' }),
    );
  }

  fromClient(tunnel: Tunnel, chunk: Buffer): boolean {
    return fromClient(tunnel, chunk);
  }

  fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean {
    const flows = fromUpstream(tunnel, chunk);
    if (tunnel.stage === this && tunnel.fromUpstream.atFrame) tunnel.keeper.close(tunnel, this.#code, this.#reason);
    return flows;
  }

  clientEnded(tunnel: Tunnel): void {
    clientEnded(tunnel);
  }

  upstreamEnded(tunnel: Tunnel): void {
    tunnel.keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'failed' });
    tunnel.stage.upstreamEnded(tunnel);
  }

  leave(): void {
    this.#timer.cancel();
  }
}

/** A Close was said, or a side has ended: the rest is passed on, until both are gone or the time is up. */
export class ClosingStage implements Stage {
  readonly kind = 'closing';
  readonly #parting: Parting;
  readonly #timer: Timer;
  #toClient: boolean;
  #toUpstream: boolean;

  constructor(tunnel: Tunnel, parting: Parting, deadlineMs: number) {
    this.#parting = parting;
    this.#toClient = parting.toClient;
    this.#toUpstream = parting.toUpstream;
    this.#timer = tunnel.keeper.ports.clock.after(deadlineMs, () => {
      this.#farewell(tunnel);
      tunnel.upstream?.destroy();
      tunnel.client.destroy();
    });
  }

  fromClient(tunnel: Tunnel, chunk: Buffer): boolean {
    const stream = tunnel.fromClient;
    // What comes after the last word is read, so that the end behind it is seen, and thrown away.
    if (!this.#toUpstream) return true;
    tunnel.up += chunk.length;
    const data = stream.join(chunk);
    const end = stream.advance(data, tunnel.whole);
    if (found.what === 'nothing') {
      if (end < data.length) stream.hold(data, end);
      return end === 0 || tunnel.toUpstream(data.subarray(0, end));
    }
    this.#toUpstream = false;
    const isAnswer = this.#parting.ours && found.what === 'close';
    const passed = isAnswer ? found.closeAt : end;
    if (passed > 0) tunnel.toUpstream(data.subarray(0, passed));
    if (!this.#parting.ours) return true;
    // It answered our Close. The upstream hears from us that its client has gone.
    this.#sayGoingAway(tunnel);
    tunnel.client.end();
    return true;
  }

  fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean {
    const stream = tunnel.fromUpstream;
    if (!this.#toClient) return true;
    tunnel.down += chunk.length;
    const data = stream.join(chunk);
    const end = stream.advance(data, tunnel.whole);
    if (found.what === 'nothing' && end < data.length) stream.hold(data, end);
    else if (found.what !== 'nothing') this.#toClient = false;
    return end === 0 || tunnel.toClient(data.subarray(0, end));
  }

  clientEnded(tunnel: Tunnel): void {
    this.#farewell(tunnel);
    // Without an upstream there is nobody whose end would end it.
    if (tunnel.upstream === null) tunnel.client.end();
    else tunnel.upstream.end();
    this.#check(tunnel);
  }

  upstreamEnded(tunnel: Tunnel): void {
    tunnel.client.end();
    this.#check(tunnel);
  }

  leave(): void {
    this.#timer.cancel();
  }

  /** The upstream must not take the end of its client for a failure, where it was our doing. */
  #farewell(tunnel: Tunnel): void {
    if (!this.#parting.ours || !this.#toUpstream) return;
    this.#toUpstream = false;
    if (tunnel.fromClient.atFrame) this.#sayGoingAway(tunnel);
  }

  #sayGoingAway(tunnel: Tunnel): void {
    tunnel.toUpstream(closeFrame(GOING_AWAY, '', freshMask(tunnel.keeper.ports.random)));
  }

  #check(tunnel: Tunnel): void {
    if (tunnel.client.destroyed && (tunnel.upstream === null || tunnel.upstream.destroyed)) tunnel.keeper.forget(tunnel, this.#parting.outcome);
  }
}

/** Nothing comes from it any more. */
export const closedStage: Stage = {
  kind: 'closed',
  fromClient: () => true,
  fromUpstream: () => true,
  clientEnded: nothing,
  upstreamEnded: nothing,
  leave: nothing,
};
