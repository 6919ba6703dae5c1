// A WebSocket between two upstreams: its client notices nothing. What it says is kept or, where our protocol says it again, dropped,
// until another upstream has taken the handshake.
import type { Socket } from 'node:net';
import { controlFrame, Opcode } from '../../connections/transports/websocket-frames.ts';
import { backoffMs, type BackoffPolicy } from '../../core/backoff.ts';
import type { Timer } from '../../core/clock.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { isRefused, type Upstream } from '../ports.ts';
import { headerOf } from './answer.ts';
import { Attempt, type AttemptEvents, type Failure, type HeadOf } from './attempt.ts';
import { closeCodeOf, closeFrame, found, frameAt, freshMask, payloadOf } from './frames.ts';
import { headAgain } from './handshake.ts';
import type { Life } from './life.ts';
import { ResyncingStage } from './resync.ts';
import { openStage } from './stages.ts';
import { dismiss, hold, holdUpstream, type Cause, type Holder, type Retry, type Stage, type Tunnel } from './tunnel.ts';

/** Between rounds in which nobody took it; a fleet of gateways must not come back in step. */
const BACKOFF: BackoffPolicy = { baseMs: 50, capMs: 500 };
/** Who loses its upstream again this soon is still in the same outage. */
const STABLE_MS = 1_000;
/** An upstream that is left while it works has this long to say what it still has to say. */
const FAREWELL_MS = 1_000;
/** What a piece of a message costs us beside its bytes. */
const PIECE_BYTES = 128;
const GOING_AWAY = 1001;

interface Piece {
  readonly data: Buffer;
  /** Begins within a frame that is too large to be kept for a replay. */
  readonly inFrame: boolean;
}

/** A socket that is there already, while the old one still speaks. */
interface Waiting {
  readonly socket: Socket;
  readonly rest: Buffer;
}

/** Why the client side cannot outlive its upstream now; null: it can. `cut`: not even a Close can be said any more. */
export function obstacle(tunnel: Tunnel): 'none' | 'message' | 'cut' | null {
  const { life, fromClient, fromUpstream } = tunnel;
  if (life === null) return 'none';
  if (!fromUpstream.atFrame) return 'cut';
  if (fromUpstream.midMessage) return 'message';
  // Our protocol says again what was not acknowledged; of others the begin of the message is lost.
  return life.kind === 'plain' && (!fromClient.atFrame || fromClient.midMessage) ? 'message' : null;
}

export class DetachedStage implements Stage, AttemptEvents, Retry, Holder {
  readonly kind = 'detached';
  readonly #tunnel: Tunnel;
  readonly #life: Life;
  readonly #pending: Piece[] = [];
  #pendingBytes = 0;
  #tried: Set<Upstream>;
  #rounds = 0;
  #wanted: Upstream | null;
  #attempt: Attempt | null = null;
  #waiting: Waiting | null = null;
  /** The old upstream has not ended yet. */
  #farewell: Timer | null = null;
  #retry: Timer | null = null;
  readonly #deadline: Timer;
  #isOver = false;

  /** The tunnel's upstream is gone, or (`planned`) is told here that its client goes. */
  constructor(tunnel: Tunnel, life: Life, cause: Cause) {
    const { clock } = tunnel.keeper.ports;
    const { reattachMs } = tunnel.group.settings.websocket;
    const now = clock.turn();
    this.#tunnel = tunnel;
    this.#life = life;
    this.#wanted = cause.kind === 'planned' ? cause.wanted : null;
    this.#tried = new Set(tunnel.target === null ? [] : [tunnel.target]);
    const isSame = life.outageSince >= 0 && now - life.attachedAt < STABLE_MS;
    if (!isSame) life.outageSince = now;
    else this.#rounds = 1;
    this.#deadline = clock.after(Math.max(0, life.outageSince + reattachMs - now), () => this.#giveUp());
    if (cause.kind !== 'planned') return;
    if (tunnel.fromClient.atFrame) tunnel.toUpstream(closeFrame(GOING_AWAY, '', freshMask(tunnel.keeper.ports.random)));
    this.#farewell = clock.after(FAREWELL_MS, () => this.#parted());
  }

  begin(): void {
    if (this.#rounds === 0) this.#tunnel.keeper.queue(this);
    else this.#later();
  }

  try(): boolean {
    if (this.#isOver || this.#attempt !== null) return false;
    const tunnel = this.#tunnel;
    const { ask, way, head, reattached } = this.#life;
    const choice = this.#wanted ?? tunnel.group.choose({ ...ask, without: this.#tried });
    this.#wanted = null;
    if (isRefused(choice)) {
      this.#later();
      return false;
    }
    choice.begin();
    tunnel.target = choice;
    const { address, port, keeper } = tunnel;
    const asked = headAgain(head, reattached + 1, keeper.ports.random);
    this.#attempt = new Attempt(keeper.ports, { upstream: choice, client: { address, port, ...way }, head: asked }, this);
    return true;
  }

  failed(failure: Failure, error: Error): void {
    const tunnel = this.#tunnel;
    const { target, keeper, group } = tunnel;
    this.#attempt = null;
    keeper.ports.log.info({ upstream: target?.name, group: group.settings.name, failure, error: error.message }, 'an upstream did not take over a WebSocket');
    if (target !== null) this.#tried.add(target);
    tunnel.release('failed');
    if (this.#isOver) return;
    if (this.#tried.size <= group.settings.retries) keeper.queue(this);
    else this.#later();
  }

  switched(socket: Socket, { answer }: HeadOf, rest: Buffer): boolean {
    const tunnel = this.#tunnel;
    const attempt = this.#attempt;
    this.#attempt = null;
    const isSame = headerOf(answer, 'sec-websocket-protocol') === this.#life.protocol && headerOf(answer, 'sec-websocket-extensions') === undefined;
    if (this.#isOver || attempt === null || !isSame) {
      socket.destroy();
      if (this.#isOver) return false;
      tunnel.keeper.ports.log.warn({ upstream: tunnel.target?.name }, 'an upstream speaks another sub-protocol than the one before it');
      tunnel.release('failed');
      this.#giveUp();
      return false;
    }
    tunnel.target?.answered(tunnel.keeper.ports.clock.now() - attempt.startedAt);
    this.#waiting = { socket, rest };
    if (this.#farewell === null) return this.#attach();
    hold(socket, this, (chunk) => {
      // Nothing is read yet: `rest` is all there may be.
      if (chunk === null) this.closed();
      else if (this.#waiting !== null) this.#waiting = { socket, rest: Buffer.concat([this.#waiting.rest, chunk]) };
      return false;
    });
    return false;
  }

  answered(socket: Socket, { answer }: HeadOf): boolean {
    socket.destroy();
    this.failed('answer', new Error(`the upstream must answer 101, got ${answer.status}`));
    return false;
  }

  drained(): void {}

  /** The new one is gone before the old one was. */
  closed(): void {
    if (this.#waiting === null) return;
    this.#waiting.socket.destroy();
    this.#waiting = null;
    this.failed('silence', new Error('the upstream ended the connection'));
  }

  fromClient(tunnel: Tunnel, chunk: Buffer): boolean {
    const stream = tunnel.fromClient;
    tunnel.up += chunk.length;
    const data = stream.join(chunk);
    const inFrame = Math.min(stream.left, data.length);
    const end = stream.advance(data, tunnel.whole);
    const { what, closeAt } = found;
    const rest = what === 'close' ? closeAt : end;
    if (inFrame > 0) this.#keep(data.subarray(0, inFrame), true);
    let kept = inFrame;
    for (let at = inFrame; at < rest;) {
      const frame = frameAt(data, at);
      at = frame.end;
      if (frame.opcode < Opcode.close) continue;
      // The client wants to know that somebody is there, and somebody is. One that does not read is told nothing more.
      if (frame.opcode === Opcode.ping && !tunnel.client.writableNeedDrain) tunnel.toClient(controlFrame(Opcode.pong, payloadOf(data, frame)));
      this.#keep(data.subarray(kept, frame.begin), false);
      kept = frame.end;
    }
    this.#keep(data.subarray(kept, rest), false);
    if (what === 'nothing') {
      if (end < data.length) stream.hold(data, end);
      return this.#pendingBytes <= tunnel.group.settings.websocket.holdBytes;
    }
    if (what === 'close') tunnel.toClient(closeFrame(closeCodeOf(data, closeAt), '', null));
    else tunnel.toClient(closeFrame(1002, 'not a WebSocket frame', null));
    tunnel.keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'ok' });
    return true;
  }

  /** What the old one still says. */
  fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean {
    const stream = tunnel.fromUpstream;
    tunnel.down += chunk.length;
    const data = stream.join(chunk);
    const end = stream.advance(data, tunnel.whole);
    const { what, closeAt } = found;
    const rest = what === 'close' ? closeAt : end;
    const flows = rest === 0 || tunnel.toClient(data.subarray(0, rest));
    if (what !== 'nothing') this.#parted();
    else if (end < data.length) stream.hold(data, end);
    return flows;
  }

  clientEnded(tunnel: Tunnel): void {
    tunnel.keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'aborted' });
    tunnel.stage.clientEnded(tunnel);
  }

  upstreamEnded(): void {
    this.#parted();
  }

  leave(): void {
    const tunnel = this.#tunnel;
    this.#isOver = true;
    this.#deadline.cancel();
    this.#farewell?.cancel();
    this.#retry?.cancel();
    this.#attempt?.cancel();
    this.#attempt = null;
    if (this.#waiting !== null) this.#waiting.socket.destroy();
    this.#waiting = null;
    if (tunnel.upstream !== null) dismiss(tunnel.upstream, tunnel.keeper.ports.clock);
    tunnel.upstream = null;
    tunnel.release('aborted');
  }

  /** The old one has said everything. */
  #parted(): void {
    const tunnel = this.#tunnel;
    if (this.#farewell === null || this.#isOver) return;
    this.#farewell.cancel();
    this.#farewell = null;
    const { upstream, keeper } = tunnel;
    tunnel.upstream = null;
    if (upstream !== null) dismiss(upstream, keeper.ports.clock);
    // What the client has begun to say since then was said to nobody yet.
    if (!tunnel.fromUpstream.atFrame) keeper.finish(tunnel, { toClient: false, toUpstream: false, ours: false, outcome: 'failed' });
    else if (tunnel.fromUpstream.midMessage) keeper.close(tunnel, CloseCode.restart, 'the server changed in the middle of a message');
    else if (this.#waiting !== null) this.#attach();
  }

  #later(): void {
    const { clock, random } = this.#tunnel.keeper.ports;
    this.#tried = new Set();
    this.#retry?.cancel();
    this.#retry = clock.after(backoffMs(BACKOFF, this.#rounds++, random), () => this.#tunnel.keeper.queue(this));
  }

  #giveUp(): void {
    const { keeper } = this.#tunnel;
    keeper.ports.tally.reattachFailed++;
    keeper.close(this.#tunnel, CloseCode.restart, 'no server took over');
  }

  #keep(data: Buffer, inFrame: boolean): void {
    // What our protocol's client says before its next hello is void.
    if (data.length === 0 || this.#life.kind !== 'plain') return;
    this.#pending.push({ data, inFrame });
    this.#pendingBytes += data.length + PIECE_BYTES;
  }

  #attach(): boolean {
    const tunnel = this.#tunnel;
    const life = this.#life;
    const waiting = this.#waiting;
    const { target } = tunnel;
    if (waiting === null) return false;
    // So that leaving this stage lets go of neither.
    this.#waiting = null;
    tunnel.target = null;
    tunnel.fromUpstream.held = null;
    const number = ++life.reattached;
    tunnel.move(life.kind === 'plain' ? openStage : new ResyncingStage(tunnel, life.kind, number));
    tunnel.target = target;
    life.attachedAt = tunnel.keeper.ports.clock.turn();
    holdUpstream(tunnel, waiting.socket);
    // Said again is what an earlier upstream got; what waited is kept for the next one, too, as it is passed on.
    for (const frame of life.replay?.frames ?? []) tunnel.toUpstream(frame);
    for (const { data, inFrame } of this.#pending) {
      life.replay?.record(inFrame ? null : data);
      tunnel.toUpstream(data);
    }
    tunnel.keeper.reattached(tunnel);
    tunnel.resumeClient();
    const flows = waiting.rest.length === 0 || tunnel.stage.fromUpstream(tunnel, waiting.rest);
    if (flows) tunnel.resumeUpstream();
    return flows;
  }
}
