// Socket.IO's adapter for Redis streams, without its gap. It reads the stream for its rooms, and once more for a client that comes back;
// an entry that is added between the two readings would be handed out twice, or not at all, and hide what this project loses or repeats.
import type { RedisClientType } from '@redis/client';
import { createAdapter } from '@socket.io/redis-streams-adapter';
import type { Server } from 'socket.io';

type Namespace = ReturnType<Server['of']>;

/** What is used of an adapter. The last item of a packet is its place in the stream. */
interface Inside {
  onRawMessage(message: unknown, place: string): void;
  restoreSession(pid: string, place: string): Promise<{ missedPackets: unknown[][] }>;
}

/** Rooms stand still while a client is restored: it gets what they had until then, and the rest with them. */
export function gaplessAdapter(redis: RedisClientType): ReturnType<typeof createAdapter> {
  const create = createAdapter(redis);
  // The server calls it with `new`, which an arrow does not bear.
  return function (namespace: Namespace) {
    const adapter = create(namespace);
    const inside = adapter as unknown as Inside;
    const deliver = inside.onRawMessage.bind(adapter);
    const restore = inside.restoreSession.bind(adapter);
    const held: (readonly [message: unknown, place: string])[] = [];
    let restoring = 0;
    let delivered: string | null = null;
    inside.onRawMessage = (message, place) => {
      if (restoring > 0) return void held.push([message, place]);
      delivered = place;
      deliver(message, place);
    };
    const release = (): void => {
      if (--restoring > 0) return;
      for (const [message, place] of held.splice(0)) inside.onRawMessage(message, place);
    };
    inside.restoreSession = async (pid, place) => {
      restoring++;
      try {
        const session = await restore(pid, place);
        session.missedPackets = session.missedPackets.filter((packet) => delivered === null || !isAfter(packet.at(-1) as string, delivered));
        return session;
      } finally {
        // The socket enters its rooms before the next turn of the loop.
        setImmediate(release);
      }
    };
    return adapter;
  };
}

function isAfter(place: string, other: string): boolean {
  const [ms, sequence] = place.split('-').map(Number);
  const [otherMs, otherSequence] = other.split('-').map(Number);
  return ms > otherMs || (ms === otherMs && sequence > otherSequence);
}
