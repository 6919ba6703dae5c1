// Asks Sentinels which server is the master now: one after the other, the one that told right first. It is asked anew for
// every connection, so that a failover needs nothing but the next attempt.
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import { describePlace, type Place, type RedisAccess, type RedisAddress } from './redis-address.ts';
import { createClient, describe } from './redis-client.ts';

/** So short that two that do not answer leave time for a third, and for the master. */
const ASK_MS = 500;

export type SentinelAddress = RedisAddress & { readonly kind: 'sentinels' };

export class Sentinels {
  readonly #master: string;
  readonly #access: RedisAccess;
  readonly #clock: Clock;
  /** The next one to ask comes first. */
  #order: readonly Place[];

  constructor({ sentinels, master, tls }: SentinelAddress, clock: Clock) {
    this.#order = sentinels;
    this.#master = master;
    // User, password and database are the server's.
    this.#access = { tls, username: undefined, password: undefined, database: 0 };
    this.#clock = clock;
  }

  /** Where the master is. Rejects when no sentinel tells, with the words of the last one. */
  async find(signal: AbortSignal): Promise<Place> {
    let reason = '';
    for (const place of this.#order) {
      if (signal.aborted) break;
      try {
        return await this.#ask(place);
      } catch (error) {
        reason = `the sentinel at ${describePlace(place)}: ${describe(error)}`;
        this.doubt();
      }
    }
    throw unreachable(`no sentinel told where the master '${this.#master}' is; ${reason}`);
  }

  /** The one that was asked last did not answer, or named a server that is no good: the others come before it from now on. */
  doubt(): void {
    const [first, ...others] = this.#order;
    this.#order = [...others, first];
  }

  async #ask(place: Place): Promise<Place> {
    const client = await createClient(this.#access, place, ASK_MS);
    // The calls reject, too.
    client.on('error', () => {});
    client.unref();
    const asked = (async (): Promise<unknown> => {
      try {
        await client.connect();
        return await client.sendCommand(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', this.#master]);
      } finally {
        // A client that was destroyed while it connected goes on connecting.
        client.destroy();
      }
    })();
    let timer: Timer | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = this.#clock.after(ASK_MS, () => reject(unreachable(`no answer within ${ASK_MS} ms`)));
    });
    try {
      return this.#placeIn(await Promise.race([asked, late]));
    } finally {
      timer?.cancel();
      client.destroy();
    }
  }

  #placeIn(answer: unknown): Place {
    const [host, port] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
    if (typeof host !== 'string' || !(Number(port) > 0)) throw unreachable(`it knows no master '${this.#master}'`);
    return { host, port: Number(port) };
  }
}

const unreachable = (reason: string): EvenkeelError => new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', reason);
