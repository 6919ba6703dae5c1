// A guest's end of the local engine: greets the host, then carries calls and messages over one Unix socket.
import { connect, type Socket } from 'node:net';
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError, type ErrorCode, errorCodes } from '../core/errors.ts';
import { freshName } from '../host/random.ts';
import type { Json } from './engine.ts';
import { encode, type FromHost, Lines, Outbox, proofOf, readFromHost, sameProof, wireLimits } from './local-wire.ts';
import { startPulse } from './pulse.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';

export interface GuestOptions {
  readonly clock: Clock;
  readonly socketPath: string;
  readonly secret: string;
}

/** A host that answers no ping for five of our ticks is stopped, or as good as. */
const TICK_MS = 250;
const SILENT_TICKS = 5;
/** How long the host may take over each step of the greeting. */
const GREETING_MS = 1_000;

type State =
  | { readonly kind: 'greeting'; readonly nonce: string; readonly timer: Timer; readonly settle: (error: EvenkeelError | null) => void }
  | { readonly kind: 'joined'; readonly pulse: Timer }
  | { readonly kind: 'left' };

interface Waiting {
  readonly resolve: (value: Json) => void;
  readonly reject: (error: EvenkeelError) => void;
}

/** Joins the host at `socketPath`. Resolves to null when nobody hosts there. */
export async function joinHost(options: GuestOptions, owner: SeatOwner): Promise<Seat | null> {
  const guest = new Guest(options, owner);
  try {
    await guest.greeted;
    return guest;
  } catch (error) {
    if (!(EvenkeelError.is(error) && isNobody(error.cause))) throw error;
    return null;
  }
}

/** Whether a connection failed because nobody listens: the name is free, or a socket file is left over. */
function isNobody(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ECONNREFUSED' || code === 'ENOENT';
}

class Guest implements Seat {
  readonly greeted: Promise<void>;
  readonly #options: GuestOptions;
  readonly #owner: SeatOwner;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #lines = new Lines(wireLimits.greetingBytes);
  readonly #waiting = new Map<number, Waiting>();
  #state: State = { kind: 'left' };
  #calls = 0;
  #onHeard: () => void = () => {};

  constructor(options: GuestOptions, owner: SeatOwner) {
    this.#options = options;
    this.#owner = owner;
    const nonce = freshName();
    this.#socket = connect({ path: options.socketPath });
    this.#socket.unref();
    this.#outbox = new Outbox(this.#socket);
    this.greeted = new Promise((resolve, reject) => {
      const timer = options.clock.after(GREETING_MS, () => this.#end('the host does not answer'));
      this.#state = { kind: 'greeting', nonce, timer, settle: (error) => (error === null ? resolve() : reject(error)) };
    });
    this.#socket.on('connect', () => this.#socket.write(encode({ kind: 'hello', nonce })));
    this.#socket.on('data', (chunk: Buffer) => this.#read(chunk));
    this.#socket.on('error', (error) => this.#end(error.message, error));
    this.#socket.on('close', () => this.#end('the host left'));
    owner.signal.addEventListener('abort', () => this.leave(), { once: true });
  }

  call(call: Call): Promise<Json> {
    if (this.#state.kind !== 'joined') return Promise.reject(unreachable('the link to the host is closed'));
    const id = ++this.#calls;
    this.#outbox.write(encode({ kind: 'call', id, call }));
    return new Promise((resolve, reject) => void this.#waiting.set(id, { resolve, reject }));
  }

  leave(): void {
    this.#end('the link was closed');
  }

  /** Asks for a sign of life. Whatever the host says next is one: the answer itself may wait behind much that was asked before. */
  #heard(): Promise<void> {
    this.call({ do: 'ping' }).catch(() => {});
    return new Promise((resolve) => void (this.#onHeard = resolve));
  }

  #read(chunk: Buffer): void {
    this.#onHeard();
    const ok = this.#lines.push(chunk, (line) => {
      const frame = readFromHost(line);
      if (frame !== null) this.#take(frame);
      return frame !== null && this.#state.kind !== 'left';
    });
    if (!ok) this.#end('the host sent a malformed frame');
  }

  #take(frame: FromHost): void {
    const state = this.#state;
    if (state.kind === 'joined') return this.#takeJoined(frame);
    if (state.kind === 'left') return;
    switch (frame.kind) {
      case 'challenge': {
        const nonces = [state.nonce, frame.nonce] as const;
        if (!sameProof(frame.proof, proofOf(this.#options.secret, 'host', nonces))) return this.#end(NO_SECRET);
        this.#socket.write(encode({ kind: 'proof', proof: proofOf(this.#options.secret, 'guest', nonces) }));
        // The host is the one that we look for; what it says now may be long.
        this.#lines.limit = wireLimits.answerBytes;
        return;
      }
      case 'welcome':
        if (this.#lines.limit === wireLimits.greetingBytes) return this.#end(NO_SECRET);
        return this.#join(state);
      case 'refused':
        return this.#end(NO_SECRET);
      default:
        return this.#end('the host sent an unexpected frame');
    }
  }

  #join(state: State & { kind: 'greeting' }): void {
    state.timer.cancel();
    const pulse = startPulse({
      clock: this.#options.clock,
      tickMs: TICK_MS,
      silentTicks: SILENT_TICKS,
      ping: () => this.#heard(),
      lost: () => this.#end('the host does not answer'),
    });
    this.#state = { kind: 'joined', pulse };
    state.settle(null);
  }

  #takeJoined(frame: FromHost): void {
    if (frame.kind === 'entry') return this.#owner.entry(frame.stream, frame.entry);
    if (frame.kind === 'message') return this.#owner.deliver(frame.inbox, frame.message);
    if (frame.kind !== 'answer' && frame.kind !== 'error') return this.#end('the host sent an unexpected frame');
    const waiting = this.#waiting.get(frame.id);
    this.#waiting.delete(frame.id);
    if (frame.kind === 'answer') waiting?.resolve(frame.value);
    else waiting?.reject(new EvenkeelError(knownCode(frame.code), frame.message));
  }

  #end(reason: string, cause?: Error): void {
    const state = this.#state;
    if (state.kind === 'left') return;
    this.#state = { kind: 'left' };
    this.#socket.destroy();
    const error = unreachable(reason, cause);
    if (state.kind === 'greeting') {
      state.timer.cancel();
      state.settle(error);
      return;
    }
    state.pulse.cancel();
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
    this.#owner.lost(reason);
  }
}

const NO_SECRET = 'the host and this process do not share a secret (another user, or another directory)';

function unreachable(reason: string, cause?: Error): EvenkeelError {
  return new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', reason, cause);
}

/** A host of another version may know codes that we do not. */
function knownCode(code: string): ErrorCode {
  return code in errorCodes ? (code as ErrorCode) : 'EVENKEEL_ENGINE_UNREACHABLE';
}
