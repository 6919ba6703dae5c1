// The host's end of the local engine: serves one MemoryStore to the guests that prove to know the secret. Whatever a link
// sends that is no frame closes that link; nothing that a link sends can stop the host.
import { createServer, type Server, type Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { freshName } from '../host/random.ts';
import { frozenCopy, tooMuch } from './bounds.ts';
import { engineLimits, type Json } from './engine.ts';
import { encode, type FromHost, Lines, proofOf, readToHost, sameProof, type ToHost, wireLimits } from './local-wire.ts';
import { MemoryStore } from './memory.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';

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
  /** The inboxes of the host's own process. */
  readonly #inboxes: Inboxes;
  readonly #tick: { cancel(): void };
  #awakeAt: number;

  constructor(options: HostOptions, owner: SeatOwner) {
    const { clock, log } = options;
    this.#options = options;
    this.#store = new MemoryStore(clock, log);
    this.#inboxes = new Inboxes(this.#store, (inbox, message) => owner.deliver(inbox, message));
    this.server = createServer((socket) => this.#welcome(socket));
    this.server.maxConnections = wireLimits.links;
    this.server.unref();
    this.#awakeAt = clock.now();
    this.#tick = clock.every(TICK_MS, () => this.#awake());
  }

  async call(call: Call): Promise<Json> {
    return serve(this.#store, this.#inboxes, call);
  }

  leave(): void {
    this.#tick.cancel();
    this.server.close();
    for (const link of this.#links) link.close('the host leaves');
    this.#inboxes.close();
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
      isStale: () => this.#hasSlept(),
    });
    this.#links.add(link);
    socket.once('close', () => this.#links.delete(link));
  }
}

interface LinkOptions extends HostOptions {
  readonly store: MemoryStore;
  readonly isStale: () => boolean;
}

/** One guest's link. */
class Link {
  readonly #socket: Socket;
  readonly #options: LinkOptions;
  readonly #lines = new Lines(wireLimits.greetingBytes);
  readonly #inboxes: Inboxes;
  #state: LinkState = { kind: 'greeting' };

  constructor(socket: Socket, options: LinkOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#inboxes = new Inboxes(options.store, (inbox, message) => this.#write({ kind: 'message', inbox, message }));
    const late = options.clock.after(GREETING_MS, () => {
      if (this.#state.kind !== 'guest') this.close('no greeting in time');
    });
    socket.unref();
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
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
    this.#inboxes.close();
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    if (this.#state.kind === 'closed') return;
    if (this.#options.isStale()) return this.close('the host was asleep');
    const ok = this.#lines.push(chunk, (line) => {
      const frame = readToHost(line);
      if (frame !== null) this.#take(frame);
      return frame !== null && this.#state.kind !== 'closed';
    });
    if (!ok) this.close('malformed frame');
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
      this.#write({ kind: 'answer', id, value: serve(this.#options.store, this.#inboxes, call) });
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
    // A guest that does not read, for instance because it is stopped, must not fill the host's memory.
    if (this.#socket.writableLength > wireLimits.unsentBytes) return this.close('the guest does not read');
    const line = encode(frame);
    if (frame.kind === 'answer' && line.length > wireLimits.answerBytes)
      throw tooMuch('the answer', `at most ${wireLimits.answerBytes} bytes`, `${line.length}`);
    this.#socket.write(line);
  }
}

/** The inboxes that one seat opened in the store. */
class Inboxes {
  readonly #store: MemoryStore;
  readonly #deliver: (inbox: string, message: Json) => void;
  readonly #shut = new Map<string, () => void>();

  constructor(store: MemoryStore, deliver: (inbox: string, message: Json) => void) {
    this.#store = store;
    this.#deliver = deliver;
  }

  open(inbox: string): void {
    if (this.#shut.has(inbox)) return;
    this.#shut.set(
      inbox,
      this.#store.open(inbox, (message) => this.#deliver(inbox, message)),
    );
  }

  shut(inbox: string): void {
    this.#shut.get(inbox)?.();
    this.#shut.delete(inbox);
  }

  close(): void {
    for (const shut of this.#shut.values()) shut();
    this.#shut.clear();
  }
}

/** Carries out one call on the store. */
function serve(store: MemoryStore, inboxes: Inboxes, call: Call): Json {
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
      inboxes.open(call.inbox);
      return null;
    case 'shut':
      inboxes.shut(call.inbox);
      return null;
    case 'get':
      return store.get(call.key);
    case 'set':
      store.set(call.key, frozenCopy(call.value, { thing: 'the value', bytes: engineLimits.valueBytes }));
      return null;
    case 'ping':
      return null;
  }
}
