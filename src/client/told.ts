// What the client tells the application besides messages.
import type { ClientError } from './errors.ts';

/** Messages `from` to `to` of this client on the topic: the fleet misses them, and they are not held any more. */
export interface Lost {
  readonly topic: string;
  readonly from: number;
  readonly to: number;
}

/** What was sent, and may have taken effect or not: a message on the topic `name`, or a request to the method `name`. */
export interface Undecided {
  readonly kind: 'message' | 'request';
  readonly name: string;
  readonly error: ClientError;
}

/** Who the node says that the client is, and which node it is. */
export interface Identity {
  /** Public name of the session. */
  readonly client: string;
  readonly user: string | null;
  readonly node: string;
}
