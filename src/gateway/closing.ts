// Who hears that a client's socket is closed: the door that let it in, and whoever serves it now. Two listeners of one event would
// cost each socket a list, for as long as it lives: where the door listens, the other one has a place on the socket itself.
import type { Socket } from 'node:net';

type Hears = (this: Socket) => void;

const place = Symbol('evenkeel.closing');

interface Placed extends Socket {
  /** null: nobody has it now; undefined: no door listens. */
  [place]?: Hears | null | undefined;
}

/** For the door, once per socket: `listener` hears first. */
export function openPlace(socket: Socket, listener: Hears): void {
  (socket as Placed)[place] = null;
  socket.on('close', listener);
}

/** The door does not listen any more. */
export function closePlace(socket: Socket, listener: Hears): void {
  (socket as Placed)[place] = undefined;
  socket.off('close', listener);
}

/** What the door's listener hands on. */
export function tellPlace(socket: Socket): void {
  (socket as Placed)[place]?.call(socket);
}

export function hearClose(socket: Socket, listener: Hears): void {
  if ((socket as Placed)[place] === null) (socket as Placed)[place] = listener;
  else socket.on('close', listener);
}

export function unhearClose(socket: Socket, listener: Hears): void {
  if ((socket as Placed)[place] === listener) (socket as Placed)[place] = null;
  else socket.off('close', listener);
}
