// How clients of each kind of server greet it, and how they ask for an echo.
import { subprotocols, type ClientFrame, type Codec, type ServerFrame } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { protoCodec } from '../../src/protocol/proto.ts';
import { TOPIC, type Dialect } from './orders.ts';
import { frameOf, RawSocket } from './raw-socket.ts';

export interface Speech {
  /** Resolves when the client is in and follows the topic. `client`: the how manyeth it is. */
  open(port: number, client: number): Promise<RawSocket>;
  /** A frame that asks for the `number`th echo of 64 bytes. */
  echo(number: number, method: string): Buffer;
}

const ECHO = 'e'.repeat(62);

function sessions(codec: Codec): Speech {
  const say = (...frames: ClientFrame[]): Buffer => frameOf(codec.encode(frames));
  return {
    async open(port, client) {
      const raw = await RawSocket.open(port, '/evenkeel', codec.subprotocol);
      raw.send(say({ type: 'hello', instance: `i${client}`, link: 1, token: `user-${client}`, subscriptions: [] }));
      await until(
        raw,
        framesIn(codec, ({ type }) => type === 'welcome'),
      );
      raw.send(say({ type: 'subscribe', topic: TOPIC, start: { history: 0 } }));
      await until(
        raw,
        framesIn(codec, (frame) => frame.type === 'subscribed' && frame.topic === TOPIC),
      );
      return raw;
    },
    echo: (number, method) => say({ type: 'request', number, settled: number - 1, method, payload: { json: `"${ECHO}"` } }),
  };
}

function framesIn(codec: Codec, wanted: (frame: ServerFrame) => boolean): (message: Buffer) => boolean {
  return (message) => {
    const frames = codec.decodeServer(codec.binary ? message : message.toString());
    if (frames === null) throw new Error(`not of the protocol ${subprotocols.json}: ${message.toString()}`);
    return frames.some(wanted);
  };
}

/** The same as with the codec, for a fraction of the clients' time. */
const jsonEcho = (number: number, method: string): string =>
  `{"type":"request","number":${number},"settled":${number - 1},"method":"${method}","data":"${ECHO}"}`;

const PLAIN = frameOf(`"${ECHO}"`);

const plain: Speech = {
  open: (port) => RawSocket.open(port, '/', null),
  echo: () => PLAIN,
};

const socketIo: Speech = {
  async open(port) {
    const raw = await RawSocket.open(port, '/socket.io/?EIO=4&transport=websocket', null);
    await until(raw, (message) => message.toString().startsWith('0{'));
    raw.send(frameOf('40'));
    await until(raw, (message) => message.toString().startsWith('40{'));
    return raw;
  },
  echo: (number) => frameOf(`42${number}["echo","${ECHO}"]`),
};

/** Resolves with the first message that `holds` accepts. */
function until(raw: RawSocket, holds: (message: Buffer) => boolean): Promise<void> {
  return new Promise((resolve) => {
    raw.onMessage = (message) => {
      if (!holds(message)) return;
      raw.onMessage = () => {};
      resolve();
    };
  });
}

export const speeches: Readonly<Record<Dialect, Speech>> = {
  json: { ...sessions(jsonCodec), echo: (number, method) => frameOf(jsonEcho(number, method)) },
  proto: sessions(protoCodec),
  ws: plain,
  'socket.io': socketIo,
};
