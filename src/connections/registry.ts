// The connections that end on this process: their facts, their running totals, and the order in which they may be moved.
import { Choice, choiceDefaults, Links, type ChoicePolicy } from '../core/choose.ts';
import type { Clock } from '../core/clock.ts';
import { assert } from '../core/errors.ts';
import type { Goodbye } from '../core/goodbye.ts';
import { isMove } from '../core/goodbye.ts';
import type { Totals } from '../core/membership.ts';
import { Connection, type Transport } from './connection.ts';

export interface RegistryPorts {
  readonly clock: Clock;
  readonly choice?: ChoicePolicy;
  /** Whether what arrives now rests for the cool-down (a plan is running), and whether it is a bounce. */
  readonly arrival: () => { readonly rests: boolean; readonly bounced: boolean };
  /** Told when a connection was told to go. */
  readonly left?: (connection: Connection, goodbye: Goodbye) => void;
}

/** A storm of handshakes that is over must not slow down what comes after it. */
const HANDSHAKE_STALE_MS = 15_000;

type Counts = { -readonly [K in keyof Totals]: Totals[K] };

export class Registry {
  readonly choice: Choice;
  readonly totals: Counts = { opened: 0, shed: 0, drained: 0, closed: 0, bounced: 0, forced: 0 };
  readonly #clock: Clock;
  readonly #arrival: RegistryPorts['arrival'];
  readonly #left: NonNullable<RegistryPorts['left']>;
  readonly #bySlot: (Connection | undefined)[] = [];
  readonly #free: number[] = [];
  /** Accepted, but nothing real was asked yet. */
  readonly #fresh = new Set<Connection>();
  /** Told to go, still open. */
  readonly #leaving = new Set<Connection>();
  #nextId = 1;
  #directed = 0;
  #handshakeMs = 0;
  #admittedAt = -Infinity;

  constructor(ports: RegistryPorts) {
    this.#clock = ports.clock;
    this.#arrival = ports.arrival;
    this.#left = ports.left ?? (() => {});
    this.choice = new Choice(new Links(256), ports.choice ?? choiceDefaults, (slot) => this.#caughtUp(this.at(slot)));
  }

  /** Open connections: what counts as this node's load. */
  get count(): number {
    return this.choice.count;
  }

  /** Connections that are on their way out but still open, and those that have not asked for anything yet. */
  get leaving(): number {
    return this.#leaving.size;
  }

  get fresh(): number {
    return this.#fresh.size;
  }

  /** Open connections whose clients can be told where to go. */
  get directed(): number {
    return this.#directed;
  }

  /** The client of this open connection can be told where to go. */
  direct(connection: Connection): void {
    if (connection.directed || connection.stage !== 'open') return;
    connection.directed = true;
    this.#directed++;
  }

  /** Moving average of the time from accept to the first real request, ms; 0 when nobody came lately: nobody waits then. */
  get handshakeMs(): number {
    return this.#clock.now() - this.#admittedAt > HANDSHAKE_STALE_MS ? 0 : this.#handshakeMs;
  }

  /** A connection was accepted. It counts only once `admit` says that it asked for something real. */
  accept(transport: Transport, handle: unknown): Connection {
    const connection = new Connection(this.#nextId++, transport, handle, this.#clock.turn());
    this.#fresh.add(connection);
    return connection;
  }

  /** The first real request, finished handshake or byte: from now on it counts. Does nothing when it counts already. */
  admit(connection: Connection): void {
    if (connection.stage !== 'fresh') return;
    const now = this.#clock.turn();
    const arrival = this.#arrival();
    this.#fresh.delete(connection);
    connection.stage = 'open';
    connection.slot = this.#takeSlot(connection);
    this.choice.add(connection.slot, { now, asks: connection.transport.manner === 'asks', rests: arrival.rests, weight: connection.weight });
    if (connection.pinned) this.choice.pin(connection.slot, true, now);
    this.#observeHandshake(connection, now);
    this.totals.opened++;
    if (arrival.bounced) this.totals.bounced++;
  }

  /** HTTP/1.1 and TCP clients open connections in advance and speak when they like: their silence is no strain of ours. */
  #observeHandshake(connection: Connection, now: number): void {
    if (connection.protocol === 'http1' || connection.protocol === 'tcp') return;
    this.#admittedAt = now;
    this.#handshakeMs += (now - connection.openedAt - this.#handshakeMs) / 16;
  }

  /** The connection changed its protocol (HTTP/1.1 upgraded to WebSocket): same connection, other manners. */
  adopt(connection: Connection, transport: Transport, handle: unknown): void {
    assert(connection.stage !== 'closed', 'a closed connection cannot change its protocol');
    connection.transport = transport;
    connection.handle = handle;
    unsettle(connection);
    connection.inProgress = 0;
    if (connection.stage !== 'open') return this.admit(connection);
    // Pins, rest and weight stay: they belong to the client, not to the protocol.
    const now = this.#clock.turn();
    this.choice.asks(connection.slot, transport.manner === 'asks', now);
    this.choice.touch(connection.slot, now);
  }

  began(connection: Connection): void {
    const now = this.#clock.turn();
    unsettle(connection);
    connection.lastReadAt = now;
    if (connection.inProgress++ === 0 && connection.slot !== -1) this.choice.begin(connection.slot, now);
  }

  ended(connection: Connection): void {
    // What began before the protocol changed is not the new protocol's.
    if (connection.inProgress === 0) return;
    const now = this.#clock.turn();
    connection.lastWriteAt = now;
    if (--connection.inProgress === 0 && connection.slot !== -1) this.choice.end(connection.slot, now);
  }

  /** A request on an open connection of which nothing more is told unless the transport is made to catch up: most are over in a moment. */
  passed(connection: Connection): void {
    const now = this.#clock.turn();
    connection.requests++;
    connection.lastReadAt = now;
    // Whoever is not looked at soon is looked at with each request.
    connection.calmSince = this.choice.touch(connection.slot, now) ? connection.calmFor : -1;
  }

  /** There is something to decide: each of their next requests is looked at. */
  lookAtAll(): void {
    for (const connection of this.#bySlot) if (connection !== undefined) connection.calmFor = 0;
  }

  /** Whether a request that was only passed is in progress now; its end is told from now on. */
  #caughtUp(connection: Connection): boolean {
    if (connection.calmSince !== connection.calmFor && connection.calmSince !== -1) {
      connection.lastReadAt = this.#clock.turn();
      this.choice.links.activeAt[connection.slot] = connection.lastReadAt;
    }
    if (connection.calmSince !== -1) connection.lastWriteAt = connection.lastReadAt;
    connection.calmSince = -1;
    if (connection.inProgress > 0 || connection.transport.catchUp?.(connection) !== true) return false;
    unsettle(connection);
    connection.inProgress = 1;
    return true;
  }

  read(connection: Connection): void {
    connection.lastReadAt = this.#clock.turn();
    if (connection.stage === 'open') this.choice.touch(connection.slot, connection.lastReadAt);
  }

  wrote(connection: Connection): void {
    connection.lastWriteAt = this.#clock.turn();
    if (connection.stage === 'open') this.choice.touch(connection.slot, connection.lastWriteAt);
  }

  pin(connection: Connection, pinned: boolean): void {
    unsettle(connection);
    connection.pinned = pinned;
    if (connection.stage === 'open') this.choice.pin(connection.slot, pinned, this.#clock.turn());
  }

  weigh(connection: Connection, weight: number): void {
    connection.weight = weight;
    if (connection.stage === 'open') this.choice.weigh(connection.slot, weight, this.#clock.turn());
  }

  /**
   * `listener` ends what is open on the connection when it is wanted elsewhere; null: nobody listens any more. While
   * somebody listens, a connection that otherwise is told only when it asks can be told at any time, its open response too.
   */
  onRetire(connection: Connection, listener: Connection['onRetire']): void {
    const { goodbye, transport, slot, stage } = connection;
    connection.onRetire = listener;
    if (transport.manner !== 'asks') return;
    // Told already, with the head of this response: what is open now is to end as well, but not while its owner is still at it.
    if (stage === 'leaving' && goodbye !== null && listener !== null) queueMicrotask(() => transport.retire(connection, goodbye));
    if (stage !== 'open') return;
    this.#caughtUp(connection);
    unsettle(connection);
    const now = this.#clock.turn();
    this.choice.asks(slot, listener === null, now);
    if (listener === null && connection.inProgress > 0) this.choice.begin(slot, now);
  }

  at(slot: number): Connection {
    const connection = this.#bySlot[slot];
    assert(connection !== undefined, `slot ${slot} holds a connection`);
    return connection;
  }

  /** The connection was told to go: its place is free from now on, and the totals say why. */
  leave(connection: Connection, goodbye: Goodbye): void {
    if (connection.stage === 'closed' || connection.stage === 'leaving') return;
    const counted = connection.stage === 'open';
    if (counted) this.#dropSlot(connection);
    unsettle(connection);
    this.#fresh.delete(connection);
    connection.stage = 'leaving';
    connection.goodbye = goodbye;
    this.#leaving.add(connection);
    if (!counted) return;
    this.#left(connection, goodbye);
    if (isMove(goodbye.reason)) this.totals.shed++;
    else if (goodbye.reason === 'drain') this.totals.drained++;
    else this.totals.closed++;
  }

  /** The transport connection is gone. */
  close(connection: Connection): void {
    if (connection.stage === 'closed') return;
    if (connection.stage === 'open') {
      this.#dropSlot(connection);
      this.totals.closed++;
    }
    this.#fresh.delete(connection);
    this.#leaving.delete(connection);
    connection.stage = 'closed';
  }

  find(id: number): Connection | undefined {
    for (const connection of this.all()) if (connection.id === id) return connection;
    return undefined;
  }

  /** Counted connections first, then those that are leaving. */
  *all(): Generator<Connection> {
    for (const slot of this.choice.slots()) yield this.at(slot);
    yield* this.#leaving;
  }

  /** Everything that has a socket: counted, leaving, and those that asked for nothing yet. */
  *everything(): Generator<Connection> {
    yield* this.all();
    yield* this.#fresh;
  }

  #takeSlot(connection: Connection): number {
    const slot = this.#free.pop() ?? this.#bySlot.length;
    const { links } = this.choice;
    if (slot >= links.capacity) links.grow(links.capacity * 2);
    this.#bySlot[slot] = connection;
    return slot;
  }

  #dropSlot(connection: Connection): void {
    if (connection.directed) this.#directed--;
    this.choice.remove(connection.slot);
    this.#bySlot[connection.slot] = undefined;
    this.#free.push(connection.slot);
    connection.slot = -1;
  }
}

/** From now on each of its requests is looked at in full. */
function unsettle(connection: Connection): void {
  connection.calmFor = 0;
  connection.calmSince = -1;
}
