// A client of each kind at the end of a numbered stream: tells of every message that arrives.
import ReconnectingWebSocket from 'reconnecting-websocket';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { connect } from '../../src/client/node/index.ts';
import { TOPIC, type Kind } from './orders.ts';

export interface StreamClient {
  close(): void;
}

/** All with the settings that they come with; all by WebSocket from the beginning. */
export const streamClients: Readonly<Record<Kind, (port: number, heard: (text: string) => void) => StreamClient>> = {
  evenkeel(port, heard) {
    const client = connect({ url: `ws://127.0.0.1:${port}/evenkeel` });
    client.subscribe(TOPIC, {}, ({ value }) => heard(value as string));
    return client;
  },
  'socket.io'(port, heard) {
    const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
    return socket.on('m', heard);
  },
  ws(port, heard) {
    // The types say that it is the module, which is what a CommonJS module without a marker is to them.
    const Class = ReconnectingWebSocket as unknown as typeof ReconnectingWebSocket.default;
    const socket = new Class(`ws://127.0.0.1:${port}/`, [], { WebSocket });
    socket.addEventListener('message', ({ data }) => heard(data as string));
    return socket;
  },
};
