// A session client whose server was replaced behind its back: it is told so with `resync`, what it says is void until its `hello`
// answers that, and from there on everything passes.
import { messageFrame, Opcode } from '../../connections/transports/websocket-frames.ts';
import { jsonCodec } from '../../protocol/json.ts';
import { protoCodec } from '../../protocol/proto.ts';
import { found, frameAt, payloadOf, type Frame } from './frames.ts';
import { openStage } from './stages.ts';
import type { Stage, Tunnel } from './tunnel.ts';

/** The largest hello: 1,000 subscriptions and their positions. What is larger is none. */
const HELLO_BYTES = 1_048_576;

/** A message of the client whose end has not come. */
interface Collected {
  readonly opcode: number;
  readonly frames: Buffer[];
  readonly payloads: Buffer[];
  bytes: number;
}

export class ResyncingStage implements Stage {
  readonly kind = 'resyncing';
  readonly #tunnel: Tunnel;
  readonly #form: 'json' | 'proto';
  readonly #number: number;
  #message: Collected | null = null;

  constructor(tunnel: Tunnel, form: 'json' | 'proto', number: number) {
    this.#tunnel = tunnel;
    this.#form = form;
    this.#number = number;
    const codec = form === 'json' ? jsonCodec : protoCodec;
    tunnel.toClient(messageFrame(codec.encode([{ type: 'resync', number }])));
  }

  fromClient(tunnel: Tunnel, chunk: Buffer): boolean {
    const stream = tunnel.fromClient;
    tunnel.up += chunk.length;
    const data = stream.join(chunk);
    let at = Math.min(stream.left, data.length);
    const end = stream.advance(data, HELLO_BYTES);
    const { what, closeAt } = found;
    const rest = what === 'close' ? closeAt : end;
    let passes = false;
    while (at < rest && !passes) {
      const frame = frameAt(data, at);
      at = frame.end;
      if (frame.opcode >= Opcode.close) tunnel.toUpstream(data.subarray(frame.begin, frame.end));
      else if (frame.end > data.length || frame.end - frame.begin > HELLO_BYTES) this.#message = null;
      else passes = this.#collect(data, frame);
    }
    if (passes) tunnel.move(openStage);
    if (what === 'violation') tunnel.keeper.close(tunnel, 1002, 'not a WebSocket frame');
    if (what === 'close') {
      tunnel.toUpstream(data.subarray(passes ? at : closeAt, end));
      tunnel.keeper.finish(tunnel, { toClient: true, toUpstream: false, ours: false, outcome: 'ok' });
    }
    if (what !== 'nothing') return true;
    if (end < data.length) stream.hold(data, end);
    return !passes || at >= end || tunnel.toUpstream(data.subarray(at, end));
  }

  fromUpstream(tunnel: Tunnel, chunk: Buffer): boolean {
    return openStage.fromUpstream(tunnel, chunk);
  }

  clientEnded(tunnel: Tunnel): void {
    openStage.clientEnded(tunnel);
  }

  upstreamEnded(tunnel: Tunnel): void {
    openStage.upstreamEnded(tunnel);
  }

  leave(): void {}

  /** True when the message that this frame ends is the hello: it goes to the upstream. */
  #collect(data: Buffer, frame: Frame): boolean {
    if (frame.opcode !== Opcode.continuation) this.#message = { opcode: frame.opcode, frames: [], payloads: [], bytes: 0 };
    const message = this.#message;
    // The rest of a message whose begin the last server got, or that is too large.
    if (message === null) return false;
    message.bytes += frame.end - frame.begin;
    if (message.bytes > HELLO_BYTES) {
      this.#message = null;
      return false;
    }
    message.frames.push(Buffer.from(data.subarray(frame.begin, frame.end)));
    message.payloads.push(payloadOf(data, frame));
    if (!frame.fin) return false;
    this.#message = null;
    if (!this.#isHello(message)) return false;
    for (const one of message.frames) this.#tunnel.toUpstream(one);
    return true;
  }

  #isHello({ opcode, payloads }: Collected): boolean {
    const payload = Buffer.concat(payloads);
    if ((opcode === Opcode.text) !== (this.#form === 'json')) return false;
    const frames = this.#form === 'json' ? jsonCodec.decodeClient(payload.toString()) : protoCodec.decodeClient(payload);
    const first = frames?.[0];
    return first?.type === 'hello' && first.resync === this.#number;
  }
}
