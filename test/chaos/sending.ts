// What a node under chaos sends to the inboxes of users, one message after the other, and what it tells of that: before each is
// sent, and when it is known how it ended.
import { EvenkeelError } from '../../src/core/errors.ts';
import { below } from '../../src/core/random.ts';
import { sleep } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import type { Outcome } from '../../src/judge/judge.ts';
import type { SessionServer } from '../../src/server/index.ts';

/** A message to a user's inbox, as the judge knows it: the inbox is a stream, and each node a publisher. */
export interface Sent {
  readonly stream: number;
  readonly publisher: number;
  readonly number: number;
}

export type SendEvent = { readonly kind: 'sent'; readonly sent: Sent } | { readonly kind: 'settled'; readonly sent: Sent; readonly outcome: Outcome };

export interface Sending {
  /** The streams that are inboxes. */
  readonly inboxes: readonly number[];
  readonly perS: number;
}

export const userOf = (inbox: number): string => `user ${inbox}`;

/** Larger than what any client is called. */
const freshPublisher = (): number => 2 ** 31 + below(realRandom, 2 ** 30);

export class Sender {
  readonly #sessions: SessionServer;
  readonly #tell: (event: SendEvent) => Promise<void>;
  #isOver = false;

  constructor(sessions: SessionServer, tell: (event: SendEvent) => Promise<void>) {
    this.#sessions = sessions;
    this.#tell = tell;
  }

  async run({ inboxes, perS }: Sending): Promise<void> {
    let publisher = freshPublisher();
    const numbers = new Map<number, number>();
    for (let turn = 0; !this.#isOver; turn++) {
      const stream = inboxes[turn % inboxes.length];
      const number = (numbers.get(stream) ?? 0) + 1;
      numbers.set(stream, number);
      const outcome = await this.#send({ stream, publisher, number });
      if (outcome !== 'acknowledged') {
        // It may still take effect, after what is sent next: nothing is promised of their order.
        publisher = freshPublisher();
        numbers.clear();
      }
      await sleep(1_000 / perS);
    }
  }

  rest(): void {
    this.#isOver = true;
  }

  async #send(sent: Sent): Promise<Outcome> {
    const { stream, publisher, number } = sent;
    await this.#tell({ kind: 'sent', sent });
    const outcome = await this.#sessions.sendTo(userOf(stream), { p: publisher, s: stream, n: number }).then(
      () => 'acknowledged' as const,
      (error: unknown) => {
        if (!EvenkeelError.is(error)) throw error;
        return 'undecided' as const;
      },
    );
    await this.#tell({ kind: 'settled', sent, outcome });
    return outcome;
  }
}
