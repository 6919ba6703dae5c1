// The secret with which the nodes of a fleet sign what their clients carry: given as an option, or made by the first node and kept
// in the engine, where the others find it.
import type { Log } from '../../core/log.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Engine } from '../../engine/engine.ts';

const KEY = 'sessions/secret';

export class SharedSecret {
  readonly #engine: Engine;
  readonly #log: Log;
  readonly #given: boolean;
  /** Until the engine has told another: tickets of others are refused meanwhile, and their clients come without. */
  #secret: string;

  constructor(options: { readonly engine: Engine; readonly log: Log; readonly given: string | null; readonly fresh: string }) {
    this.#engine = options.engine;
    this.#log = options.log;
    this.#given = options.given !== null;
    this.#secret = options.given ?? options.fresh;
  }

  get value(): string {
    return this.#secret;
  }

  /** Reads the fleet's secret, or offers ours. When two offer at once the last one stands, and all have it after the next look. */
  async look(): Promise<void> {
    if (this.#given) return;
    try {
      const known = await this.#engine.get(KEY);
      if (typeof known === 'string' && known.length >= 16) this.#secret = known;
      else await this.#engine.set(KEY, this.#secret);
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      this.#log.debug({ reason: error.message }, 'the secret of the fleet cannot be read now');
    }
  }
}
