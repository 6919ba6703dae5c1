// Hands a goodbye to the application, which may want to end by itself what is open on the connection.
import type { Goodbye } from '../core/goodbye.ts';
import type { Log } from '../core/log.ts';
import type { Connection } from './connection.ts';

/** True when the application took the goodbye: the rest is its own. It is asked once. `without`: what follows when its hook fails. */
export function tellApplication(connection: Connection, goodbye: Goodbye, { log, without }: { readonly log: Log; readonly without: string }): boolean {
  const { onRetire } = connection;
  if (onRetire === null) return false;
  connection.onRetire = null;
  try {
    onRetire(goodbye, connection);
    return true;
  } catch (error) {
    log.error({ connection: connection.id, error }, `onRetire failed; ${without}`);
    return false;
  }
}
