// Where streams end, asked for together: a node opens a stream for each of its users, and those that are opened in one turn share a call.
import { streamLimits, type Streams } from '../../engine/streams.ts';
import type { Position } from '../../protocol/frames.ts';

interface Turn {
  readonly names: string[];
  readonly tops: Promise<readonly Position[]>;
}

export class SharedTops {
  readonly #streams: Streams;
  readonly #metaMs: number;
  #turn: Turn | null = null;

  /** `metaMs`: how long a stream is remembered from now on. */
  constructor(streams: Streams, metaMs: number) {
    this.#streams = streams;
    this.#metaMs = metaMs;
  }

  async top(name: string): Promise<Position | undefined> {
    const turn = this.#thisTurn();
    const index = turn.names.push(name) - 1;
    if (turn.names.length === streamLimits.namesPerCall) this.#turn = null;
    return (await turn.tops)[index];
  }

  #thisTurn(): Turn {
    if (this.#turn !== null) return this.#turn;
    const names: string[] = [];
    const ask = (): Promise<readonly Position[]> => {
      if (this.#turn?.names === names) this.#turn = null;
      return this.#streams.tops(names, this.#metaMs);
    };
    this.#turn = { names, tops: Promise.resolve().then(ask) };
    return this.#turn;
  }
}
