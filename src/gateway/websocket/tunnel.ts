// One relayed WebSocket: its client, its upstream, where each direction stands in its frames, and the stage that says what becomes
// of what arrives. It hangs on its sockets, so that it needs no map to clean, and no listener of its own that costs memory.
import type { Socket } from 'node:net';
import type { Connection } from '../../connections/connection.ts';
import type { Clock } from '../../core/clock.ts';
import { hearClose } from '../closing.ts';
import type { Group, Outcome, ProxyPorts, Upstream } from '../ports.ts';
import { FrameStream } from './frames.ts';
import type { Life } from './life.ts';

export type StageKind = 'opening' | 'answering' | 'open' | 'parting' | 'detached' | 'resyncing' | 'closing' | 'closed';

/** What becomes of what arrives. For both `from...`: false stops the reading until somebody resumes it. */
export interface Stage {
  readonly kind: StageKind;
  fromClient(tunnel: Tunnel, chunk: Buffer): boolean;
  fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean;
  /** It sent its end, or its socket is closed: either, or one after the other. */
  clientEnded(tunnel: Tunnel): void;
  upstreamEnded(tunnel: Tunnel): void;
  /** Another stage follows: timers and attempts are called off. */
  leave(): void;
}

/** Why the upstream of a tunnel is to be another one. */
export type Cause =
  /** It ended, or closed with a code that counts as that. */
  | { readonly kind: 'lost'; readonly code: number }
  /** It is to be left while it still works; `wanted`: for this one. */
  | { readonly kind: 'planned'; readonly wanted: Upstream | null };

/** What stages ask of the relay: the ways from one stage to the next. */
export interface Keeper {
  readonly ports: ProxyPorts;
  /** An upstream took the handshake. */
  open(tunnel: Tunnel): void;
  /** Looks for another upstream, where the client side may outlive this one; else ends both. */
  detach(tunnel: Tunnel, cause: Cause): void;
  /** Our own Close to both, at the next boundary. */
  close(tunnel: Tunnel, code: number, reason: string, withinMs?: number): void;
  /** One of both said its Close, or ended: what is left of the other's is passed on, up to the end. */
  finish(tunnel: Tunnel, parting: Parting): void;
  /** Both are gone. */
  forget(tunnel: Tunnel, outcome: Outcome): void;
  /** Another upstream has taken over. */
  reattached(tunnel: Tunnel): void;
  /** Waits for its turn to try an upstream: many that lost theirs at once must not come all at once. */
  queue(retry: Retry): void;
}

export interface Retry {
  /** False: nothing was done, the turn is somebody else's. */
  try(): boolean;
}

/** Which directions are still passed on, when a tunnel ends. */
export interface Parting {
  readonly toClient: boolean;
  readonly toUpstream: boolean;
  /** The Close that ends it was ours: the client's answer is for us, and the upstream hears a Close of our own. */
  readonly ours: boolean;
  readonly outcome: Outcome;
  /** Both are gone after this, ms; `goodbyeMs` where it is absent. */
  readonly withinMs?: number;
}

export interface Holder {
  drained(socket: Socket): void;
  closed(socket: Socket): void;
}

const holderKey = Symbol('evenkeel.relay');

interface Held extends Socket {
  [holderKey]?: Holder | undefined;
}

export class Tunnel implements Holder {
  readonly keeper: Keeper;
  readonly connection: Connection;
  readonly client: Socket;
  /** Of the client. */
  readonly address: string;
  readonly port: number;
  readonly group: Group;
  /** null: the client side ends with its upstream. */
  readonly life: Life | null;
  /** Where each direction stands in its frames; null: between two messages, as nearly all are that say nothing. */
  #fromClient: FrameStream | null = null;
  #fromUpstream: FrameStream | null = null;
  stage: Stage;
  upstream: Socket | null = null;
  /** Counts this tunnel among what it carries, until `release`. */
  target: Upstream | null = null;
  seat = -1;
  /** Bytes of frames, as they came from the client and from upstreams. */
  up = 0;
  down = 0;
  /** Both, as the last look found them, and what the client had not taken. */
  seen = 0;
  unsent = 0;
  /** Looks in a row in which nothing moved, or the client took nothing. */
  silent = 0;

  constructor(keeper: Keeper, of: Pick<Tunnel, 'connection' | 'client' | 'address' | 'port' | 'group' | 'life' | 'stage'>) {
    this.keeper = keeper;
    this.connection = of.connection;
    this.client = of.client;
    this.address = of.address;
    this.port = of.port;
    this.group = of.group;
    this.life = of.life;
    this.stage = of.stage;
  }

  get fromClient(): FrameStream {
    return (this.#fromClient ??= new FrameStream());
  }

  get fromUpstream(): FrameStream {
    return (this.#fromUpstream ??= new FrameStream());
  }

  /** Nothing moves now: what stands between two messages takes no memory until the next one. Nobody may hold on to it meanwhile. */
  rest(): void {
    if (this.#fromClient?.isQuiet === true) this.#fromClient = null;
    if (this.#fromUpstream?.isQuiet === true) this.#fromUpstream = null;
  }

  /** Frames up to this size are passed on as a whole. */
  get whole(): number {
    return this.life === null ? 0 : WHOLE_BYTES;
  }

  move(stage: Stage): void {
    this.stage.leave();
    this.stage = stage;
  }

  drained(socket: Socket): void {
    if (socket === this.client) this.resumeUpstream();
    else if (socket === this.upstream) this.resumeClient();
  }

  closed(socket: Socket): void {
    if (socket === this.client) this.stage.clientEnded(this);
    else if (socket === this.upstream) this.stage.upstreamEnded(this);
  }

  resumeClient(): void {
    resume(this.client);
  }

  resumeUpstream(): void {
    if (this.upstream !== null) resume(this.upstream);
  }

  /** False: the client does not take it fast enough. */
  toClient(data: Buffer): boolean {
    return this.client.write(data);
  }

  /**
   * False: the upstream does not take it fast enough. Where another one may have to take over, nothing waits in front of a write
   * that the kernel has not taken: what was not written yet can then go to the next.
   */
  toUpstream(data: Buffer): boolean {
    const { upstream } = this;
    if (upstream === null) return true;
    const flows = upstream.write(data);
    if (this.life === null || upstream.writableLength === 0) return flows;
    if (flows) upstream.write(NOTHING, () => this.resumeClient());
    return false;
  }

  /** The upstream carries this tunnel no more. */
  release(outcome: Outcome): void {
    const { target } = this;
    this.target = null;
    target?.end(outcome, null);
  }
}

/** What an upstream that is left has not taken by then is lost, ms: one that stands still would hold on to its socket for ever. */
const DISMISS_MS = 5_000;

/** Ends the connection of an upstream that is left, after what waits to be sent. */
export function dismiss(socket: Socket, clock: Clock): void {
  socket.destroySoon();
  if (socket.destroyed) return;
  const timer = clock.after(DISMISS_MS, () => socket.destroy());
  socket.once('close', () => timer.cancel());
}

/**
 * Where the client side outlives the upstream, frames up to this size are passed on as a whole, so that a death in the middle of
 * one is no matter. Larger ones flow through, and a death in the middle ends the client side too.
 */
const WHOLE_BYTES = 16_384;

const NOTHING = Buffer.alloc(0);

/** The holder is told what happens to the socket from now on; what it reads goes to `push`. */
export function hold(socket: Socket, holder: Holder, push: (this: Socket, chunk: Buffer | null) => boolean): void {
  const isNew = (socket as Held)[holderKey] === undefined;
  (socket as Held)[holderKey] = holder;
  socket.push = push;
  if (!isNew) return;
  socket.on('drain', onDrain);
  hearClose(socket, onClose);
  socket.on('error', onError);
}

/** The client's socket is the tunnel's from now on. */
export const holdClient = (tunnel: Tunnel): void => hold(tunnel.client, tunnel, pushFromClient);

/** This is the tunnel's upstream from now on. */
export function holdUpstream(tunnel: Tunnel, socket: Socket): void {
  tunnel.upstream = socket;
  hold(socket, tunnel, pushFromUpstream);
}

export const holderOf = (socket: Socket): Holder | undefined => (socket as Held)[holderKey];

/** Reads on. The stream's own buffer is not used: what the kernel gives goes to `push`. */
export function resume(socket: Socket): void {
  if (!socket.destroyed) socket._read(0);
}

// These are shared by all sockets: closures of each would cost memory.
function onDrain(this: Held): void {
  this[holderKey]?.drained(this);
}

function onClose(this: Held): void {
  const holder = this[holderKey];
  this[holderKey] = undefined;
  holder?.closed(this);
}

/** 'close' follows, and says all that matters. */
function onError(): void {}

function pushFromClient(this: Socket, chunk: Buffer | null): boolean {
  const tunnel = (this as Held)[holderKey] as Tunnel | undefined;
  if (tunnel === undefined) return chunk === null && pushEnd(this);
  if (chunk !== null) return tunnel.stage.fromClient(tunnel, chunk);
  tunnel.stage.clientEnded(tunnel);
  return pushEnd(this);
}

function pushFromUpstream(this: Socket, chunk: Buffer | null): boolean {
  const tunnel = (this as Held)[holderKey] as Tunnel | undefined;
  if (tunnel === undefined || tunnel.upstream !== this) return chunk !== null || pushEnd(this);
  if (chunk !== null) return tunnel.stage.fromUpstream(tunnel, chunk);
  tunnel.stage.upstreamEnded(tunnel);
  return pushEnd(this);
}

/** The stream learns that it ended. */
export function pushEnd(socket: Socket): boolean {
  const { push } = Object.getPrototypeOf(socket) as { push: (this: Socket, chunk: null) => boolean };
  return push.call(socket, null);
}
