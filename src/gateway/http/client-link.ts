// One connection of a client: cuts what it sends into requests, has them answered one after the other, and ends it in the
// manner of HTTP/1.1, with the last answer. One small object per socket and shared functions only: most of them are idle.
import type { Socket } from 'node:net';
import type { Connection } from '../../connections/connection.ts';
import { linkTo } from '../../connections/socket-link.ts';
import { unsentOf } from '../../connections/transports/websocket-transport.ts';
import type { Timer } from '../../core/clock.ts';
import { lifespan, verdict, type Lifespan } from '../../core/lifetime.ts';
import type { GoodbyeReason } from '../../core/goodbye.ts';
import { hearClose, unhearClose } from '../closing.ts';
import { countRefused, type ClientFacts } from '../ports.ts';
import { reset } from '../reset.ts';
import { plain, written } from './answers.ts';
import { CR, LF, SPACE, TOKEN } from './characters.ts';
import type { Caller, House } from './caller.ts';
import { Exchange } from './exchange.ts';
import { BadHead } from './fields.ts';
import { Lines } from './forwarding.ts';
import { parseRequest } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';

/** Nearly all heads fit in here; only where one does not, more of what came is made a text. */
const FIRST_BYTES = 4_096;

/** Of requests that came before their turn, so much is kept; then the client is not read for a while. */
const AHEAD_BYTES = 16_384;

/** So many answers in a row may find a later request here; then the goodbye is kept for the last of them. */
const PASSED_OVER = 16;

/** A client that disappears without a word is found by TCP itself: the first probe goes out after this, ms. */
const TCP_KEEP_ALIVE_MS = 60_000;

const NOTHING = Buffer.alloc(0);

const TOO_LARGE = new BadHead(431, 'the head of the request is too large');
const TOO_LONG = new BadHead(414, 'the request line is too long');
const NO_HTTP = new BadHead(400, 'this is no HTTP/1.1');
const BARE_LF = new BadHead(400, 'a line must end with CR and LF');

const key = Symbol('evenkeel.client');

interface Linked extends Socket {
  [key]?: ClientLink | undefined;
}

type Phase =
  | 'open'
  /** The last answer was given: what still comes is read and thrown away. */
  | 'ending'
  /** Somebody else has the socket, or it is closed. */
  | 'gone';

export class ClientLink implements Caller {
  readonly socket: Socket;
  readonly client: ClientFacts;
  readonly connection: Connection;
  readonly sink = null;
  /** Where it sits in the round of those that are looked after. */
  seat = 0;
  readonly lines: Lines;
  readonly #house: House;
  readonly #span: Lifespan;
  readonly #left: (link: ClientLink) => void;
  #phase: Phase = 'open';
  #exchange: Exchange | null = null;
  /** Came, and was not used yet. */
  #input: Buffer | null = null;
  /** Requests are being taken off the input. */
  #isTaking = false;
  /** The client has ended its side. */
  #isEnded = false;
  #passedOver = 0;
  /** When the head that is not complete began to come; when what waits to be sent was first seen waiting. */
  #headAt = 0;
  #unsentAt = 0;
  #unsent = 0;
  #linger: Timer | null = null;

  /** `left`: told once, when the link has let go of its socket. */
  constructor(socket: Socket, client: ClientFacts, { connection, house, left }: { connection: Connection; house: House; left: (link: ClientLink) => void }) {
    this.socket = socket;
    this.client = client;
    this.lines = new Lines(client);
    this.connection = connection;
    this.#house = house;
    this.#left = left;
    const { transport } = house.ports;
    this.#span = lifespan(transport.lifetime, transport.random);
    linkTo(socket, connection);
    (socket as Linked)[key] = this;
    // A client may end its side with its last request, and wait for the answer.
    socket.allowHalfOpen = true;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, TCP_KEEP_ALIVE_MS);
    socket.on('data', onData);
    socket.on('end', onEnd);
    hearClose(socket, onClose);
    socket.on('error', onError);
    socket.on('drain', onDrain);
  }

  read(bytes: Buffer): void {
    if (this.#phase !== 'open') return;
    const exchange = this.#exchange;
    if (exchange === null) {
      this.#input = this.#input === null ? bytes : Buffer.concat([this.#input, bytes]);
      return this.#take();
    }
    this.#isTaking = true;
    const used = exchange.isReceived ? 0 : exchange.feed(bytes);
    this.#isTaking = false;
    if (used < bytes.length && this.#isOpen) this.#keep(used === 0 ? bytes : bytes.subarray(used));
    if (this.#exchange === null) this.#take();
  }

  ended(): void {
    this.#isEnded = true;
    if (this.#phase !== 'open') return;
    const exchange = this.#exchange;
    if (exchange === null) return this.#take();
    if (exchange.isReceived) return;
    // The rest of the request never comes.
    this.socket.destroy();
  }

  closed(): void {
    const exchange = this.#exchange;
    this.#exchange = null;
    exchange?.abort();
    this.#linger?.cancel();
    if (this.#phase === 'gone') return;
    this.#phase = 'gone';
    this.#house.ports.transport.registry.close(this.connection);
    this.#left(this);
  }

  drained(): void {
    this.#exchange?.resume();
    if (this.#exchange === null && this.#phase === 'open') this.#take();
  }

  serve(): void {
    const { connection } = this;
    this.#house.ports.transport.registry.admit(connection);
    connection.requests++;
  }

  isLast(request: { readonly isNearlyReceived: boolean }, response: ResponseHead | null): boolean {
    // It ends anyway: no goodbye is wasted on it.
    if (this.#isEnded && this.#input === null) return true;
    if (!this.#hasReason()) return false;
    // The close must not stand on an answer while a later one is owed, but a client that always has a further request
    // under way would never be told.
    if (this.#input === null) this.#passedOver = 0;
    else if (++this.#passedOver < PASSED_OVER) return false;
    const { connection } = this;
    const { registry, retirement } = this.#house.ports.transport;
    if (!request.isNearlyReceived) return false;
    if (connection.stage === 'leaving') return true;
    // An event stream would go on for hours on a connection that counts as gone.
    if (connection.stage !== 'open' || response?.header('content-type')?.startsWith('text/event-stream') === true) return false;
    const goodbye = retirement.ask(connection.slot, this.#due());
    if (goodbye === null) return false;
    registry.leave(connection, goodbye);
    return true;
  }

  get isPaused(): boolean {
    return this.socket.isPaused();
  }

  pause(): void {
    this.socket.pause();
  }

  cut(): void {
    // HTTP/1.0 has no chunks: there the end of the connection is the end of the answer, unless it is a reset.
    if (this.#exchange?.head.minor === 0) reset(this.socket);
    else this.socket.destroy();
  }

  resume(): void {
    if (this.socket.isPaused()) this.socket.resume();
  }

  over(closes: boolean): void {
    this.#exchange = null;
    this.#house.ports.transport.registry.ended(this.connection);
    if (this.#phase !== 'open') return;
    if (closes) this.#end();
    else if (!this.#isTaking) this.#take();
  }

  leave(): Buffer {
    const { socket } = this;
    const input = this.#input ?? NOTHING;
    this.#input = null;
    this.#exchange = null;
    this.#phase = 'gone';
    (socket as Linked)[key] = undefined;
    socket.pause();
    socket.off('data', onData);
    socket.off('end', onEnd);
    unhearClose(socket, onClose);
    socket.off('error', onError);
    socket.off('drain', onDrain);
    // As node:http hands over its sockets: it flows when somebody listens.
    (socket as { readableFlowing: boolean | null }).readableFlowing = null;
    this.#left(this);
    return input;
  }

  /** Looks at the clock. */
  sweep(now: number): void {
    const { timeouts } = this.#house.ports;
    if (this.#isStuck(now, timeouts.clientSendMs)) return void this.socket.destroy();
    if (this.#phase !== 'open') return;
    if (this.#exchange !== null) return this.#exchange.sweep(now, timeouts);
    if (this.#input !== null) {
      if (this.#headAt > 0 && now - this.#headAt > timeouts.clientHeadMs) this.#refuse(new BadHead(408, 'the head of the request did not come in time'));
    } else if (now - this.connection.lastWriteAt > timeouts.clientIdleMs) {
      this.#end();
    }
  }

  /** Takes requests off the input, until one has to be waited for. */
  #take(): void {
    if (this.#isTaking) return;
    this.#isTaking = true;
    while (this.#input !== null && this.#exchange === null && this.#phase === 'open' && !this.socket.writableNeedDrain) {
      if (!this.#takeOne(this.#input)) break;
    }
    this.#isTaking = false;
    if (this.#phase !== 'open' || this.#exchange !== null) return;
    // What waits for the client to read goes on when it has.
    if (this.socket.writableNeedDrain && this.#input !== null) return;
    if (this.#isEnded) this.#end();
    else this.resume();
  }

  /** False: there is no whole head yet. */
  #takeOne(bytes: Buffer): boolean {
    const { limits, transport } = this.#house.ports;
    let text = bytes.toString('latin1', 0, Math.min(bytes.length, FIRST_BYTES));
    let start = 0;
    // Empty lines before a request are to be passed over (RFC 9112, section 2.2).
    while (text.charCodeAt(start) === CR && text.charCodeAt(start + 1) === LF) start += 2;
    let end = text.indexOf('\r\n\r\n', start);
    if (end === -1 && bytes.length > FIRST_BYTES) {
      text = bytes.toString('latin1', 0, Math.min(bytes.length, start + limits.headBytes + 4));
      end = text.indexOf('\r\n\r\n', start);
    }
    if (end === -1 || end + 4 - start > limits.headBytes) return this.#waitForHead(text, start, end !== -1 || bytes.length - start > limits.headBytes);
    const head = parseRequest(text, start, limits);
    if (head instanceof BadHead) {
      this.#refuse(head);
      return false;
    }
    this.#input = null;
    this.#headAt = 0;
    transport.registry.began(this.connection);
    const exchange = new Exchange(this, head, this.#house);
    this.#exchange = exchange;
    // Set before it opens: it may be over, and the socket somebody else's, when that returns.
    if (head.end < bytes.length && !head.hasBody) this.#input = bytes.subarray(head.end);
    const used = exchange.open(bytes, head.end);
    if (head.hasBody && used < bytes.length && this.#isOpen) this.#keep(bytes.subarray(used));
    return true;
  }

  /** What is here is looked at even so: nobody waits for the rest of what can be no request. */
  #waitForHead(text: string, start: number, isTooLarge: boolean): false {
    if (this.#headAt === 0) this.#headAt = this.#house.ports.clock.now();
    let i = start;
    while (TOKEN[text.charCodeAt(i)] === 1) i++;
    const isMethod = i > start ? i === text.length || text.charCodeAt(i) === SPACE : i === text.length || text.slice(i) === '\r';
    if (!isMethod) this.#refuse(NO_HTTP);
    else if (isTooLarge) this.#refuse(text.includes('\r\n', start) ? TOO_LARGE : TOO_LONG);
    else if (/(?:^|[^\r])\n/.test(text)) this.#refuse(BARE_LF);
    return false;
  }

  #keep(bytes: Buffer): void {
    this.#input = this.#input === null ? bytes : Buffer.concat([this.#input, bytes]);
    if (this.#input.length > AHEAD_BYTES && this.#exchange !== null) this.pause();
  }

  /** Of what comes after this nothing can be understood. */
  #refuse({ status, why }: BadHead): void {
    countRefused(this.#house.ports.tally, status);
    this.socket.write(written(plain(status, why), { bodiless: false, closes: true, old: false }));
    this.#end();
  }

  /** Asked anew where something was called meanwhile. */
  get #isOpen(): boolean {
    return this.#phase === 'open';
  }

  #hasReason(): boolean {
    return this.connection.stage !== 'open' || !this.#house.ports.transport.retirement.isCalm || this.#due() !== null;
  }

  /** What the connection's own lifetime says. */
  #due(): GoodbyeReason | null {
    const { connection } = this;
    const ageMs = this.#span.ageMs === Infinity ? 0 : this.#house.ports.clock.now() - connection.openedAt;
    return verdict(this.#span, connection.requests, ageMs);
  }

  /** Our FIN behind the last byte; then the client has its time to read, and to close. A close over unread bytes would reset. */
  #end(): void {
    const { socket } = this;
    const { clock, transport } = this.#house.ports;
    this.#phase = 'ending';
    this.#input = null;
    this.resume();
    socket.end(() => {
      if (!socket.destroyed) this.#linger ??= clock.after(transport.limits.lingerMs, () => socket.destroy());
    });
  }

  /** Something waits to be sent, and the client took nothing of it for too long. A part of one write counts, however long it takes. */
  #isStuck(now: number, limitMs: number): boolean {
    const unsent = this.socket.writableLength + unsentOf(this.socket);
    if (unsent === 0 || unsent !== this.#unsent) {
      this.#unsent = unsent;
      this.#unsentAt = now;
      return false;
    }
    return now - this.#unsentAt > limitMs;
  }
}

export const linkOf = (socket: Socket): ClientLink | undefined => (socket as Linked)[key];

function onData(this: Socket, bytes: Buffer): void {
  linkOf(this)?.read(bytes);
}

function onEnd(this: Socket): void {
  linkOf(this)?.ended();
}

function onClose(this: Socket): void {
  linkOf(this)?.closed();
}

// The close that follows says all that matters.
function onError(): void {}

function onDrain(this: Socket): void {
  linkOf(this)?.drained();
}
