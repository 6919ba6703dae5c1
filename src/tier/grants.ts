// What clients may do with topics, as the application says: asked once, and remembered for a while, since a client says many things
// on few topics.
import type { Clock } from '../core/clock.ts';
import type { Wish } from '../server/sessions/index.ts';
import type { Application } from './application.ts';

/** How long an answer holds, ms. */
const HOLDS_MS = 30_000;
/** Answers that are remembered; beyond, the oldest is asked for again. */
const REMEMBERED = 50_000;

interface Grant {
  readonly yes: boolean;
  readonly until: number;
}

export class Grants {
  readonly #application: Application;
  readonly #clock: Clock;
  readonly #known = new Map<string, Grant>();

  constructor(application: Application, clock: Clock) {
    this.#application = application;
    this.#clock = clock;
  }

  allows(wish: Wish): boolean | Promise<boolean> {
    const { user, client, action, topic } = wish;
    // Nobody in particular is each time somebody else.
    const key = JSON.stringify([user ?? ['client', client], action, topic]);
    const grant = this.#known.get(key);
    if (grant !== undefined && grant.until > this.#clock.now()) return grant.yes;
    return this.#ask(wish, key);
  }

  async #ask(wish: Wish, key: string): Promise<boolean> {
    const { status } = await this.#application.tell({ type: 'authorize', ...wish });
    const yes = status >= 200 && status < 300;
    // An application that does not answer has not said no for half a minute.
    if (!yes && status !== 403) return false;
    this.#known.delete(key);
    this.#known.set(key, { yes, until: this.#clock.now() + HOLDS_MS });
    if (this.#known.size > REMEMBERED) this.#forgetOldest();
    return yes;
  }

  #forgetOldest(): void {
    for (const oldest of this.#known.keys()) return void this.#known.delete(oldest);
  }
}
