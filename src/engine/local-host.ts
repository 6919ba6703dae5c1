// The host's end of the local engine: serves one MemoryStore to the guests that prove to know the secret. Whatever a link
// sends that is no frame closes that link; nothing that a link sends can stop the host.
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { freshName } from '../host/random.ts';
import { frozenCopy, tooMuch } from './bounds.ts';
import { engineLimits, type Json } from './engine.ts';
import { encode, type FromHost, Lines, Outbox, proofOf, readToHost, sameProof, type ToHost, wireLimits } from './local-wire.ts';
import { freshRun, MemoryStore } from './memory.ts';
import { serveStreams } from './memory-serve.ts';
import type { TailListener } from './memory-streams.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';
import type { Entry } from './streams.ts';

export interface HostOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly secret: string;
}

/** A guest must have proved itself after this long. */
const GREETING_MS = 1_000;
const TICK_MS = 250;
/** Guests give up a host that is silent for 1.25 s (local-guest.ts). A host that slept for longer must forget them too. */
const ASLEEP_MS = 1_250;

type LinkState =
  | { readonly kind: 'greeting' }
  | { readonly kind: 'proving'; readonly proof: string }
  | { readonly kind: 'guest' }
  | { readonly kind: 'closed' };

export class LocalHost implements Seat {
  readonly server: Server;
  readonly #options: HostOptions;
  readonly #store: MemoryStore;
  readonly #links = new Set<Link>();
  /** What the host's own process listens to. */
  readonly #ears: Ears;
  readonly #lines = new EntryLines();
  readonly #tick: { cancel(): void };
  #awakeAt: number;

  constructor(options: HostOptions, owner: SeatOwner) {
    const { clock, log } = options;
    this.#options = options;
    this.#store = new MemoryStore(clock, log, freshRun());
    this.#ears = new Ears(this.#store, owner);
    this.server = createServer((socket) => this.#welcome(socket));
    this.server.maxConnections = wireLimits.links;
    this.server.unref();
    this.#awakeAt = clock.now();
    this.#tick = clock.every(TICK_MS, () => this.#awake());
  }

  async call(call: Call): Promise<Json> {
    return serve(this.#store, this.#ears, call);
  }

  leave(): void {
    this.#tick.cancel();
    this.server.close();
    for (const link of this.#links) link.close('the host leaves');
    this.#ears.close();
  }

  /**
   * Calls that wait in the sockets of a host that was stopped have been given up by their callers, perhaps long ago, and
   * must not take effect now. Whichever comes first after the sleep, the tick or the data, closes the link.
   */
  #hasSlept(): boolean {
    return this.#options.clock.now() - this.#awakeAt > ASLEEP_MS;
  }

  #awake(): void {
    if (this.#hasSlept()) for (const link of this.#links) link.close('the host was asleep');
    this.#awakeAt = this.#options.clock.now();
  }

  #welcome(socket: Socket): void {
    const link = new Link(socket, {
      ...this.#options,
      store: this.#store,
      lines: this.#lines,
      isStale: () => this.#hasSlept(),
    });
    this.#links.add(link);
    socket.once('close', () => this.#links.delete(link));
  }
}

interface LinkOptions extends HostOptions {
  readonly store: MemoryStore;
  readonly lines: EntryLines;
  readonly isStale: () => boolean;
}

/** One guest's link. */
class Link {
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #outbox: Outbox;
  readonly #lines = new Lines(wireLimits.greetingBytes);
  readonly #ears: Ears;
  /** Frames that were read, but wait until the guest has taken what was written. */
  #waiting: ToHost[] = [];
  #state: LinkState = { kind: 'greeting' };

  constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#outbox = new Outbox(socket);
    this.#ears = new Ears(options.store, {
      deliver: (inbox, message) => this.#write({ kind: 'message', inbox, message }),
      entry: (stream, entry) => this.#writeLine(options.lines.of(stream, entry)),
    });
    const late = options.clock.after(GREETING_MS, () => {
      if (this.#state.kind !== 'guest') this.close('no greeting in time');
    });
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => {
      late.cancel();
      this.close('the guest left');
    });
  }

  close(reason: string): void {
    if (this.#state.kind === 'closed') return;
    this.#options.log.debug({ reason }, 'link of a guest closed');
    this.#state = { kind: 'closed' };
    this.#ears.close();
    this.#waiting = [];
    this.#outbox.flush();
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#state.kind === 'closed') return;
    if (this.#options.isStale()) return this.close('the host was asleep');
    const ok = this.#lines.push(chunk, (line) => {
      const frame = readToHost(line);
      if (frame !== null) this.#receive(frame);
      return frame !== null && this.#state.kind !== 'closed';
    });
    if (!ok) this.close('malformed frame');
    else if (this.#waiting.length > 0) this.#socket.pause();
  }

  #receive(frame: ToHost): void {
    if (this.#waiting.length > 0 || this.#outbox.unsent > wireLimits.busyBytes) this.#waiting.push(frame);
    else this.#take(frame);
  }

  #drained(): void {
    if (this.#options.isStale()) return this.close('the host was asleep');
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const frame of waiting) this.#receive(frame);
    if (this.#waiting.length === 0) this.#socket.resume();
  }

  #take(frame: ToHost): void {
    const state = this.#state;
    if (frame.kind === 'call' && state.kind === 'guest') return this.#answer(frame.id, frame.call);
    if (frame.kind === 'hello' && state.kind === 'greeting') return this.#challenge(frame.nonce);
    if (frame.kind !== 'proof' || state.kind !== 'proving') return this.close('unexpected frame');
    if (!sameProof(frame.proof, state.proof)) {
      this.#options.log.warn({}, 'a process without the secret was refused');
      this.#write({ kind: 'refused' });
      return this.close('wrong secret');
    }
    this.#state = { kind: 'guest' };
    this.#lines.limit = wireLimits.callBytes;
    this.#write({ kind: 'welcome' });
  }

  #challenge(theirs: string): void {
    const { secret } = this.#options;
    const nonces = [theirs, freshName()] as const;
    this.#state = { kind: 'proving', proof: proofOf(secret, 'guest', nonces) };
    this.#write({ kind: 'challenge', nonce: nonces[1], proof: proofOf(secret, 'host', nonces) });
  }

  #answer(id: number, call: Call): void {
    try {
      this.#write({ kind: 'answer', id, value: serve(this.#options.store, this.#ears, call) });
    } catch (error) {
      if (!EvenkeelError.is(error)) {
        this.#options.log.error({ error, call: call.do }, 'a call failed in the host');
        return this.close('a call failed in the host');
      }
      this.#write({ kind: 'error', id, code: error.code, message: error.message });
    }
  }

  #write(frame: FromHost): void {
    if (this.#state.kind === 'closed') return;
    const line = encode(frame);
    if (frame.kind === 'answer' && line.length > wireLimits.answerBytes)
      throw tooMuch('the answer', `at most ${wireLimits.answerBytes} bytes`, `${line.length}`);
    this.#writeLine(line);
  }

  #writeLine(line: string): void {
    if (this.#state.kind === 'closed') return;
    // A guest that does not read, for instance because it is stopped, must not fill the host's memory.
    if (this.#outbox.unsent > wireLimits.unsentBytes) return this.close('the guest does not read');
    this.#outbox.write(line);
  }
}

/** The line of an entry, made once for all guests that tail its stream: they are told right after each other. */
class EntryLines {
  #last: { readonly entry: Entry; readonly line: string } | null = null;

  of(stream: string, entry: Entry): string {
    if (this.#last?.entry === entry) return this.#last.line;
    const line = encode({ kind: 'entry', stream, entry });
    this.#last = { entry, line };
    return line;
  }
}

/** The inboxes and tails that one seat opened in the store. */
class Ears {
  readonly #store: MemoryStore;
  readonly #owner: Pick<SeatOwner, 'deliver' | 'entry'>;
  readonly #shut = new Map<string, () => void>();
  readonly #tails = new Map<string, () => void>();
  /** One for all streams: there may be many. */
  readonly #told: TailListener = (entry, stream) => this.#owner.entry(stream, entry);

  constructor(store: MemoryStore, owner: Pick<SeatOwner, 'deliver' | 'entry'>) {
    this.#store = store;
    this.#owner = owner;
  }

  open(inbox: string): void {
    if (this.#shut.has(inbox)) return;
    this.#shut.set(
      inbox,
      this.#store.open(inbox, (message) => this.#owner.deliver(inbox, message)),
    );
  }

  shut(inbox: string): void {
    this.#shut.get(inbox)?.();
    this.#shut.delete(inbox);
  }

  tail(stream: string): void {
    if (!this.#tails.has(stream)) this.#tails.set(stream, this.#store.streams.tail(stream, this.#told));
  }

  untail(stream: string): void {
    this.#tails.get(stream)?.();
    this.#tails.delete(stream);
  }

  close(): void {
    for (const shut of [...this.#shut.values(), ...this.#tails.values()]) shut();
    this.#shut.clear();
    this.#tails.clear();
  }
}

/** Carries out one call on the store. */
function serve(store: MemoryStore, ears: Ears, call: Call): Json {
  switch (call.do) {
    case 'put':
      store.putMember(call.record, call.ttlMs);
      return null;
    case 'list':
      // Records hold nothing but JSON; the interface lacks the index signature that would say so.
      return store.listMembers() as unknown as Json;
    case 'acquire':
      return store.acquireLease(call.name, call.holder, call.ttlMs)?.fence ?? null;
    case 'release':
      store.releaseLease(call.name, call.holder);
      return null;
    case 'holder':
      return store.leaseHolder(call.name);
    case 'send':
      store.send(call.to, frozenCopy(call.message, { thing: 'the message', bytes: engineLimits.messageBytes }));
      return null;
    case 'open':
      ears.open(call.inbox);
      return null;
    case 'shut':
      ears.shut(call.inbox);
      return null;
    case 'get':
      return store.get(call.key);
    case 'set':
      store.set(call.key, frozenCopy(call.value, { thing: 'the value', bytes: engineLimits.valueBytes }));
      return null;
    case 'ping':
      return null;
    case 'tail':
      for (const stream of call.streams) ears.tail(stream);
      return null;
    case 'untail':
      for (const stream of call.streams) ears.untail(stream);
      return null;
    default:
      // What streams answer is JSON too.
      return serveStreams(store.streams, call) as Json;
  }
}
