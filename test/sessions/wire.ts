// A client that reads and writes the wire by itself: JSON by hand, or protobuf by a library that knows nothing but
// `evenkeel.proto`. It does what it is told, also what no client should do.
import { readFileSync } from 'node:fs';
import protobuf from 'protobufjs';
import { WebSocket } from 'ws';
import { until } from '../engines/until.ts';

/** Fields as the protocol page names them; a payload is `data`. */
export type WireFrame = { readonly type: string } & Readonly<Record<string, unknown>>;
export type Form = 'json' | 'proto';
export const forms: readonly Form[] = ['json', 'proto'];

const Message = protobuf.parse(readFileSync('src/protocol/evenkeel.proto', 'utf8')).root.lookupType('evenkeel.v1.Message');

const spelled: Record<Form, (frames: readonly WireFrame[]) => string | Uint8Array> = {
  json: (frames) => JSON.stringify(frames.length === 1 ? frames[0] : frames),
  proto: (frames) => Message.encode(Message.fromObject({ frames: frames.map(toProto) })).finish(),
};

function toProto({ type, data, ...fields }: WireFrame): object {
  return { [type]: data === undefined ? fields : { ...fields, json: JSON.stringify(data) } };
}

function understood(form: Form, message: Buffer): WireFrame[] {
  if (form === 'json') return [JSON.parse(message.toString()) as WireFrame | WireFrame[]].flat();
  const { frames = [] } = Message.toObject(Message.decode(message), { longs: Number, defaults: true }) as { frames?: Record<string, object>[] };
  return frames.map((frame) => {
    const [[type, fields]] = Object.entries(frame) as [string, { json?: string }][];
    return { type, ...fields, ...(fields.json === undefined ? {} : { data: JSON.parse(fields.json) as unknown }) };
  });
}

export interface Opening {
  readonly form?: Form;
  readonly headers?: Readonly<Record<string, string>>;
}

let instances = 0;

export class Wire {
  readonly form: Form;
  readonly socket: WebSocket;
  readonly heard: WireFrame[] = [];
  closed: { readonly code: number; readonly reason: string } | null = null;
  /** Of a handshake that failed. */
  status = 0;

  constructor(url: string, { form = 'json', headers = {} }: Opening = {}) {
    this.form = form;
    this.socket = new WebSocket(url, `evenkeel.v1.${form}`, { headers, perMessageDeflate: false });
    this.socket.on('message', (message) => this.heard.push(...understood(form, message as Buffer)));
    this.socket.on('close', (code, reason) => (this.closed = { code, reason: reason.toString() }));
    this.socket.on('unexpected-response', (request, { statusCode = 0 }) => {
      this.status = statusCode;
      this.closed = { code: 0, reason: '' };
      request.destroy();
    });
    this.socket.on('error', () => {});
  }

  /** Opens the WebSocket, and says nothing. */
  static async open(url: string, opening?: Opening): Promise<Wire> {
    const wire = new Wire(url, opening);
    await until('the WebSocket is open', () => wire.socket.readyState === WebSocket.OPEN || wire.closed !== null, 10_000);
    return wire;
  }

  /** Opens and says hello; resolves when welcomed. */
  static async welcomed(url: string, opening?: Opening, changes: object = {}): Promise<Wire & { readonly welcome: WireFrame }> {
    const wire = await Wire.open(url, opening);
    wire.hello(changes);
    const welcome = await wire.next('welcome');
    return Object.assign(wire, { welcome });
  }

  hello(changes: object = {}): void {
    this.say({ type: 'hello', instance: `wire-${++instances}`, link: 1, subscriptions: [], ...changes });
  }

  /** Several frames in one message. */
  say(...frames: WireFrame[]): void {
    this.raw(spelled[this.form](frames));
  }

  raw(message: string | Uint8Array): void {
    this.socket.send(message);
  }

  /** Takes the first frame of a type, on a topic where one is given, waiting for it where it must. */
  async next(type: string, topic?: string): Promise<WireFrame> {
    const find = (): number => this.heard.findIndex((frame) => frame.type === type && (topic === undefined || frame['topic'] === topic));
    await until(`${type} comes`, () => find() >= 0 || this.closed !== null, 10_000);
    const [found] = find() < 0 ? [] : this.heard.splice(find(), 1);
    if (found === undefined) throw new Error(`no ${type} came; closed ${JSON.stringify(this.closed)}, heard ${JSON.stringify(this.heard)}`);
    return found;
  }

  /** Takes all frames of a type that are there. */
  take(type: string): WireFrame[] {
    const taken = this.heard.filter((frame) => frame.type === type);
    this.heard.splice(0, Infinity, ...this.heard.filter((frame) => frame.type !== type));
    return taken;
  }

  async ended(withinMs = 5_000): Promise<number> {
    await until('the link ends', () => this.closed !== null, withinMs);
    return this.closed?.code ?? 0;
  }
}
