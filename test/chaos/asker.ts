// Asks numbered requests of whatever node a client is on, and tells what came of each: all that a judge of requests has to know of a client.
import { ClientError, type Client, type ClientState } from '../../src/client/node/index.ts';
import type { RequestEvent, Run } from '../../src/judge/request-judge.ts';

/** What nodes answer. */
export const COMPUTE = 'compute';

/** What a request carries. */
export interface Question {
  readonly client: number;
  readonly number: number;
}

/** A reply that is that of a handler: of which request, and of which run. As an array it looks the same however often it is quoted. */
export type Computed = readonly [client: number, number: number, execution: number];

/** From the oldest that waits to the newest: nodes keep the replies of the last 100. */
const SPAN = 50;
/** Longer than any run: no request is left without an answer because of its age. */
const TIMEOUT_MS = 86_400_000;

export class Asker {
  readonly #client: Client;
  readonly #name: number;
  readonly #tell: (event: RequestEvent) => void;
  readonly #waiting = new Set<number>();
  #last = 0;
  #link = 0;

  constructor(client: Client, name: number, tell: (event: RequestEvent) => void) {
    this.#client = client;
    this.#name = name;
    this.#tell = tell;
    client.onState((state) => this.#follow(state));
  }

  /** Passed over where an early one still waits. */
  ask(): void {
    const [oldest = this.#last] = this.#waiting;
    if (this.#last - oldest >= SPAN) return;
    const number = ++this.#last;
    const client = this.#name;
    const sent = ['open', 'moving'].includes(this.#client.state.kind);
    this.#waiting.add(number);
    this.#tell({ kind: 'asked', client, number, sent });
    void this.#answer(number).then((event) => {
      this.#waiting.delete(number);
      this.#tell(event);
    });
  }

  async #answer(number: number): Promise<RequestEvent> {
    const client = this.#name;
    try {
      const { code, message, data } = await this.#client.request(COMPUTE, { client, number } satisfies Question, { timeoutMs: TIMEOUT_MS });
      if (code === 200) return { kind: 'answered', client, number, reply: read(data) };
      const isTold = code === 503 && message.startsWith('whether it was done is not known');
      return { kind: isTold ? 'notKnown' : 'failed', client, number };
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      return { kind: error.code === 'undecided' ? 'undecided' : 'failed', client, number };
    }
  }

  /** With the first state on a link that was welcomed everything that waits is sent. */
  #follow(state: ClientState): void {
    const isWelcomed = state.kind === 'open' || (state.kind === 'moving' && state.stage === 'settling');
    if (!isWelcomed || state.link === this.#link) return;
    this.#link = state.link;
    this.#tell({ kind: 'linked', client: this.#name });
  }
}

function read(data: unknown): Run | null {
  if (!Array.isArray(data) || data.length !== 3 || !data.every((part) => typeof part === 'number')) return null;
  const [client, number, execution] = data as unknown as Computed;
  return { client, number, execution };
}
