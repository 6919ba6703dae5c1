// A WebSocket client that somebody else wrote (`ws`), with what it heard kept in order.
import { once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';
import { textOf } from './echo-upstream.ts';
import { until } from './relay-stage.ts';

export class Player {
  readonly ws: WebSocket;
  readonly heard: string[] = [];
  /** How it was closed; null: it is open. */
  closed: { readonly code: number; readonly reason: string } | null = null;
  pongs = 0;
  pings = 0;

  private constructor(url: string, options: ClientOptions, protocols: readonly string[]) {
    this.ws = new WebSocket(url, [...protocols], { perMessageDeflate: false, ...options });
    this.ws.on('message', (data, isBinary) => this.heard.push(isBinary ? `${(data as Buffer).length} bytes` : textOf(data)));
    this.ws.on('pong', () => this.pongs++);
    this.ws.on('ping', () => this.pings++);
    this.ws.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) };
    });
    this.ws.on('error', () => {});
  }

  static async open(url: string, options: ClientOptions = {}, protocols: readonly string[] = []): Promise<Player> {
    const player = new Player(url, options, protocols);
    await once(player.ws, 'open');
    return player;
  }

  async says(text: string): Promise<void> {
    const before = this.heard.length;
    this.ws.send(text);
    await until(() => this.heard.length > before, `an answer to ${text}`);
  }

  async hears(text: string): Promise<void> {
    await until(() => this.heard.includes(text), `${text}; heard ${this.heard.slice(-5).join(', ')}`);
  }

  async ends(): Promise<{ readonly code: number; readonly reason: string }> {
    await until(() => this.closed !== null, 'the close of the WebSocket', 15_000);
    return this.closed ?? { code: 0, reason: '' };
  }
}
