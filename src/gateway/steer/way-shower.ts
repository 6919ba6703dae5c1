// Shows clients of ours the way: takes their WebSocket only to tell them, in answer to their hello, where to go instead. After
// that the gateway has nothing to do with the session any more.
import type { IncomingMessage } from 'node:http';
import { WebSocketServer, type RawData, type WebSocket } from 'ws';
import type { Clock } from '../../core/clock.ts';
import type { Registry } from '../../connections/registry.ts';
import { CloseCode } from '../../protocol/close-codes.ts';
import type { Codec } from '../../protocol/frames.ts';
import { jsonCodec } from '../../protocol/json.ts';
import { protoCodec } from '../../protocol/proto.ts';
import * as subprotocols from '../../protocol/subprotocols.ts';
import { isRefused, type Tally, type Upgrade, type Upgrader } from '../ports.ts';
import { urlOf, type Decisions } from './decisions.ts';

/** A client that does not say hello, or does not go, within this is let go, ms. */
const PATIENCE_MS = 10_000;

/** A hello with all its positions fits; nothing else has to. */
const HELLO_BYTES = 1_048_576;

const KNOWN: readonly string[] = [subprotocols.proto, subprotocols.json];

export interface WayShowerPorts {
  readonly clock: Clock;
  readonly decisions: Decisions;
  readonly tally: Tally;
  readonly registry: Registry;
}

export class WayShower implements Upgrader {
  readonly #clock: Clock;
  readonly #decisions: Decisions;
  readonly #tally: Tally;
  readonly #registry: Registry;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: HELLO_BYTES,
    handleProtocols: (offered) => KNOWN.find((name) => offered.has(name)) ?? false,
  });

  constructor({ clock, decisions, tally, registry }: WayShowerPorts) {
    this.#clock = clock;
    this.#registry = registry;
    this.#decisions = decisions;
    this.#tally = tally;
  }

  upgrade(upgrade: Upgrade): void {
    const { socket, request, rest, connection } = upgrade;
    socket.once('close', () => this.#registry.close(connection));
    const names = ['upgrade', 'sec-websocket-key', 'sec-websocket-version', 'sec-websocket-protocol'];
    const headers = Object.fromEntries(names.map((name) => [name, request.header(name)]));
    // `ws` reads nothing else of a request.
    const asked = { method: request.method, headers, url: request.target, socket } as unknown as IncomingMessage;
    this.#server.handleUpgrade(asked, socket, rest, (ws) => this.#greet(ws, upgrade));
  }

  #greet(ws: WebSocket, upgrade: Upgrade): void {
    const codec: Codec = ws.protocol === subprotocols.proto ? protoCodec : jsonCodec;
    const patience = this.#clock.after(PATIENCE_MS, () => ws.close(CloseCode.timeout, 'no hello'));
    ws.on('error', () => ws.terminate());
    ws.on('close', () => patience.cancel());
    ws.once('message', (data, binary) => {
      patience.cancel();
      if (binary !== codec.binary || !isHello(codec, data)) return ws.close(CloseCode.badFrame, 'the first frame must be hello');
      this.#show(ws, codec, upgrade);
    });
  }

  #show(ws: WebSocket, codec: Codec, { request, route, client, user }: Upgrade): void {
    const { target } = route.settings;
    const chosen = this.#decisions.choose(request, route, { client, user });
    if (isRefused(chosen)) return ws.close(CloseCode.tryLater, JSON.stringify({ retryMs: chosen.retryAfterS * 1_000 }));
    this.#tally.redirects++;
    const scheme = target.kind === 'redirect' && target.scheme === 'https' ? 'wss' : 'ws';
    ws.send(codec.encode([{ type: 'move', url: urlOf(scheme, chosen, request.target), ticket: '', withinMs: PATIENCE_MS }]));
    const leave = this.#clock.after(PATIENCE_MS, () => ws.close(CloseCode.restart, 'go where you were told to'));
    ws.on('close', () => leave.cancel());
  }
}

function isHello(codec: Codec, data: RawData): boolean {
  const bytes = data as Buffer;
  return codec.decodeClient(codec.binary ? bytes : bytes.toString())?.[0]?.type === 'hello';
}
