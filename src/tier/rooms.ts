// Which plain WebSockets of this gateway hear what: one follower per stream here, however many sockets are behind it.
import type { Hub } from '../server/hub/hub.ts';
import { streamOf } from '../server/hub/hub.ts';
import type { Follower } from '../server/hub/follower.ts';
import type { LiveStream } from '../server/hub/live-stream.ts';
import { EVERYBODY, INBOX } from '../protocol/frames.ts';
import { plainPacker } from './values.ts';

/** Who listens: gets whole frames. */
export interface Listener {
  write(frames: Uint8Array): void;
}

interface Room {
  readonly stream: LiveStream;
  readonly follower: Follower;
  readonly listeners: Set<Listener>;
}

export class Rooms {
  readonly #hub: Hub;
  readonly #rooms = new Map<string, Room>();

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** Streams that are followed for sockets here. */
  get size(): number {
    return this.#rooms.size;
  }

  /** What a user is told, what everybody is told, and `topics`, from now on. Returns how to leave. */
  join(listener: Listener, { user, topics }: { readonly user: string | null; readonly topics: readonly string[] }): () => void {
    const names = new Map([[streamOf(EVERYBODY, null), EVERYBODY]]);
    if (user !== null) names.set(streamOf(INBOX, user), INBOX);
    for (const topic of topics) names.set(streamOf(topic, null), topic);
    for (const [name, topic] of names) (this.#rooms.get(name) ?? this.#open(name, topic)).listeners.add(listener);
    return () => {
      for (const name of names.keys()) this.#leave(name, listener);
    };
  }

  #open(name: string, topic: string): Room {
    const listeners = new Set<Listener>();
    const follower: Follower = {
      packer: plainPacker,
      // Each socket has a limit of its own; the stream waits for none of them.
      ready: () => true,
      overrun: () => {},
      write: (packed) => {
        if (packed.length > 0) for (const listener of listeners) listener.write(packed);
      },
      // Plain WebSockets know no positions: there is nobody to tell.
      tell: () => {},
    };
    const [stream] = this.#hub.follow(name, topic, { follower, start: { history: 0 } });
    const room = { stream, follower, listeners };
    this.#rooms.set(name, room);
    return room;
  }

  #leave(name: string, listener: Listener): void {
    const room = this.#rooms.get(name);
    if (room === undefined || !room.listeners.delete(listener) || room.listeners.size > 0) return;
    this.#rooms.delete(name);
    this.#hub.leave(room.stream, room.follower);
  }
}
