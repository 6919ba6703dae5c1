// What a node under chaos answers, and what it tells of that: each step is told before the next one is taken, so that the run
// knows of it also when the node is killed right after.
import { below } from '../../src/core/random.ts';
import type { Engine } from '../../src/engine/engine.ts';
import type { Streams } from '../../src/engine/streams.ts';
import { sleep } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import type { RequestEvent, Run } from '../../src/judge/request-judge.ts';
import type { SessionServer } from '../../src/server/index.ts';
import { COMPUTE, type Computed, type Question } from './asker.ts';

/** Resolves when it is out of the process. */
type Tell = (event: RequestEvent) => Promise<void>;

/** Some take so long that their link, their session or their node goes meanwhile. */
const LONG_MS = 400;

export function answerRequests(sessions: SessionServer, tell: Tell): void {
  sessions.handle(COMPUTE, async (value) => {
    const { client, number } = value as Question;
    const execution = below(realRandom, 2 ** 32);
    await tell({ kind: 'ran', client, number, execution });
    if (number % 4 === 0) await sleep(below(realRandom, LONG_MS));
    return [client, number, execution] satisfies Computed;
  });
}

/** The same engine, that tells of the replies which it is to store, and has stored. */
export function telling(engine: Engine, tell: Tell): Engine {
  const saveReply: Streams['saveReply'] = async (session, owner, reply) => {
    const run = runIn(reply.data);
    if (run !== null) await tell({ kind: 'storing', ...run });
    const isStored = await engine.streams.saveReply(session, owner, reply);
    if (run !== null && isStored) await tell({ kind: 'stored', ...run });
    return isStored;
  };
  const streams = instead(engine.streams, { saveReply });
  return instead(engine, { streams });
}

/** `target`, with some members of its own. */
function instead<T extends object>(target: T, others: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      if (name in others) return others[name as keyof T];
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Of which run a reply is, in whatever form it is stored. */
function runIn(data: string): Run | null {
  const found = /\[(\d+),(\d+),(\d+)\]/.exec(data);
  if (found === null) return null;
  const [client, number, execution] = found.slice(1).map(Number);
  return { client, number, execution };
}
