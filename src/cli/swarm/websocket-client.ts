// One plain WebSocket client that sends heartbeats and expects an answer to each. It comes back with full jitter; after a
// 1012 within a second. A heartbeat that met our Close on its way was not handled (the server promises that), so it is
// sent again on the next connection; on any other end nobody knows, and it has failed.
import { WebSocket } from 'ws';
import { backoffDefaults, backoffMs } from '../../core/backoff.ts';
import type { Timer } from '../../core/clock.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import { REQUEST_TIMEOUT_MS, type Client, type ClientPorts } from './client.ts';

type State =
  | { readonly state: 'new' }
  | { readonly state: 'connecting'; readonly ws: WebSocket }
  | { readonly state: 'open'; readonly ws: WebSocket }
  | { readonly state: 'waiting'; readonly timer: Timer }
  | { readonly state: 'stopped' };

interface Heartbeat {
  readonly since: number;
  /** Handed to a connection at least once. */
  counted: boolean;
  /** Handed to the present connection. */
  sent: boolean;
}

/** Those that were asked to go come back spread over this time. */
const AFTER_RESTART_MS = 1_000;

export class WebSocketClient implements Client {
  readonly #url: URL;
  readonly #ports: ClientPorts;
  #state: State = { state: 'new' };
  #heartbeat: Heartbeat | null = null;
  #number = 0;
  /** Failed attempts in a row. */
  #failures = 0;

  constructor(url: URL, ports: ClientPorts) {
    this.#url = url;
    this.#ports = ports;
  }

  turn(): void {
    if (this.#state.state === 'new') this.#connect();
    if (this.#heartbeat !== null) return;
    const { account, clock } = this.#ports;
    this.#heartbeat = { since: clock.now(), counted: false, sent: false };
    account.requests++;
    this.#send();
  }

  check(now: number): void {
    const heartbeat = this.#heartbeat;
    if (heartbeat === null || now - heartbeat.since < REQUEST_TIMEOUT_MS) return;
    this.#heartbeat = null;
    this.#ports.account.failed(heartbeat.sent ? 'no answer' : `no connection (${this.#state.state})`);
    // A server that does not answer is no use; one that is being waited for is.
    if (this.#state.state === 'open') this.#state.ws.terminate();
  }

  stop(): void {
    const state = this.#state;
    this.#state = { state: 'stopped' };
    if (state.state === 'waiting') state.timer.cancel();
    if (state.state === 'connecting' || state.state === 'open') state.ws.terminate();
  }

  #connect(): void {
    const { account } = this.#ports;
    account.attempts++;
    const ws = new WebSocket(this.#url, { perMessageDeflate: false, handshakeTimeout: REQUEST_TIMEOUT_MS });
    this.#state = { state: 'connecting', ws };
    ws.on('open', () => {
      this.#state = { state: 'open', ws };
      this.#failures = 0;
      account.connected++;
      this.#send();
    });
    ws.on('message', () => this.#answered());
    // `close` follows every error and decides what happens.
    ws.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#state.state === 'connecting') account.notConnected(error.code ?? error.message);
      ws.terminate();
    });
    ws.on('close', (code: number) => this.#closed(ws, code));
  }

  #send(): void {
    const heartbeat = this.#heartbeat;
    if (this.#state.state !== 'open' || heartbeat === null) return;
    if (!heartbeat.counted) this.#ports.account.sent++;
    heartbeat.counted = true;
    heartbeat.sent = true;
    this.#state.ws.send(`{"heartbeat":${++this.#number}}`);
  }

  #answered(): void {
    const heartbeat = this.#heartbeat;
    if (heartbeat === null || !heartbeat.sent) return;
    this.#heartbeat = null;
    this.#ports.account.answered(this.#ports.clock.now() - heartbeat.since);
  }

  #closed(ws: WebSocket, code: number): void {
    const state = this.#state;
    const { account, clock, random } = this.#ports;
    if (state.state === 'open') {
      account.connected--;
      account.closed(code);
    }
    if (state.state === 'stopped' || !('ws' in state) || state.ws !== ws) return;
    const asked = code === CloseCode.restart;
    if (this.#heartbeat?.sent === true) {
      if (!asked) account.failed(`close ${code}`);
      this.#heartbeat = asked ? { ...this.#heartbeat, sent: false } : null;
    }
    const waitMs = asked ? random.next() * AFTER_RESTART_MS : backoffMs(backoffDefaults, this.#failures++, random);
    this.#state = { state: 'waiting', timer: clock.after(waitMs, () => this.#connect()) };
  }
}
