// Frame sockets as connections of this node: counted and told to go like every WebSocket.
import type { Connection } from '../connection.ts';
import type { Attachment, TransportPorts } from '../ports.ts';
import type { FrameEvents, FrameSocket } from './frame-socket.ts';
import { WebSocketTransport, type Hooks } from './websocket-transport.ts';

export interface FrameAttachment<Owner> extends Attachment {
  /** What the sockets are to be made with. */
  readonly events: FrameEvents<Owner>;
  accept(frames: FrameSocket<Owner>): Connection;
}

/** `events` is told what happens to them. What a client says after our Close is thrown away. */
export function attachFrameSockets<Owner>(ports: TransportPorts, events: Omit<FrameEvents<Owner>, 'failed'>): FrameAttachment<Owner> {
  const transport = new WebSocketTransport<FrameSocket<Owner>>(ports, hooks);
  return {
    events: {
      message(from, message) {
        transport.heard(from);
        events.message(from, message);
      },
      closed(from, code) {
        transport.closed(from);
        events.closed(from, code);
      },
      failed: (from, rule) => transport.failed(from, rule),
      allHeard: (from) => events.allHeard(from),
      pinged: (from) => events.pinged(from),
      drained: (from) => events.drained(from),
    },
    accept: (frames) => transport.accept(frames, frames.socket),
    detach: () => transport.stop(),
  };
}

const hooks: Hooks<FrameSocket<never>> = {
  put: () => {},
  mute: (frames) => (frames.isMuted = true),
  forget: () => {},
  take: () => {},
};
