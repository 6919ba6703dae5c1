// How long a stream of 1,000 messages a second stands still while its client is moved, 20 ms away from its servers each way: our
// client told to go from node to node, Socket.IO's after its server closed the connection (connection state recovery on), and
// `reconnecting-websocket` after a 1012. Of each move the latest of all its messages counts, and the bar is for every move. A message that
// never arrives counts with the next one that does: then its reader knows.
// New connections through the delay are opened without the round trip that a real one takes, which spares those that reconnect.
// Run: node dist/bench/sessions-move.js [our moves] [theirs] [delay each way, ms]
import { localEngine } from '../src/engine/local.ts';
import { sleep } from '../src/host/clock.ts';
import { freshName } from '../src/host/random.ts';
import { machine } from './machine.ts';
import { numbersFrom } from './numbers.ts';
import { nowUs, type Kind } from './sessions/orders.ts';
import type { SlowLinksGiven } from './sessions/slow-links.ts';
import { streamClients } from './sessions/stream-clients.ts';
import type { StreamOrder, StreamServerGiven } from './sessions/stream-server.ts';
import { sayVerdicts } from './sessions/verdict.ts';
import { Worker } from './sessions/worker.ts';
import { inWords, median } from './statistics.ts';

const PER_S = 1_000;
const BAR = 3;
const WARM_UP_MS = 2_000;
const CALM_MS = 500;

interface Variant {
  readonly name: string;
  readonly kind: Kind;
  /** How long to look at each move, ms: longer than the client takes to come back. */
  readonly windowMs: number;
}

const VARIANTS: readonly Variant[] = [
  { name: 'sessions', kind: 'evenkeel', windowMs: 800 },
  { name: 'Socket.IO, state recovery', kind: 'socket.io', windowMs: 4_000 },
  { name: 'reconnecting-websocket', kind: 'ws', windowMs: 8_000 },
];

interface Told {
  /** Of each move: how much later than usual the latest message was, ms. */
  readonly extraMs: readonly number[];
  /** The same while nobody was moved: what the machine itself does to messages, ms. */
  readonly calmMs: readonly number[];
  readonly usualMs: number;
  readonly published: number;
  readonly lost: number;
  readonly repeated: number;
}

/** What arrived, in the order of its numbers. */
class Arrivals {
  readonly latencyUs: number[] = [];
  first = 0;
  last = 0;
  lost = 0;
  repeated = 0;
  #worstUs = 0;
  #lastSentAt = 0;

  hear(text: string): void {
    const now = nowUs();
    const [number, sentAt] = text.split('@').map(Number);
    if (this.first === 0) this.first = number;
    else if (number <= this.last) {
      this.repeated++;
      return;
    }
    const missing = this.last === 0 ? 0 : number - this.last - 1;
    this.lost += missing;
    // The first of those that never come was sent right after the last that did.
    const dueSince = missing > 0 ? this.#lastSentAt + 1e6 / PER_S : sentAt;
    this.last = number;
    this.#lastSentAt = sentAt;
    this.latencyUs.push(now - sentAt);
    this.#worstUs = Math.max(this.#worstUs, now - dueSince);
  }

  /** How late the latest message since the last call was, ms: also one that should be here by now, and is not. */
  takeWorstMs(): number {
    const worstUs = Math.max(this.#worstUs, nowUs() - this.#lastSentAt - 1e6 / PER_S);
    this.#worstUs = 0;
    return worstUs / 1_000;
  }
}

async function measure({ kind, windowMs }: Variant, moves: number, delayMs: number): Promise<Told> {
  const engine = `bench-${freshName().slice(0, 8)}`;
  const host = localEngine({ name: engine, role: 'host' });
  const ids = kind === 'evenkeel' ? ['a', 'b'] : ['a'];
  const servers = ids.map((id) => new Worker<StreamOrder, unknown>(new URL('./sessions/stream-server.js', import.meta.url), null, given(kind, engine, id)));
  const ports = (await Promise.all(servers.map((server) => server.hear()))) as number[];
  const between = new Worker(new URL('./sessions/slow-links.js', import.meta.url), null, { ports, delayMs } satisfies SlowLinksGiven);
  const slow = (await between.hear()) as number[];
  const arrivals = new Arrivals();
  const client = streamClients[kind](slow[0], (text) => arrivals.hear(text));
  await sleep(WARM_UP_MS / 2);
  await servers[0].ask({ kind: 'stream', perS: PER_S });
  await sleep(WARM_UP_MS);
  const usualMs = median(arrivals.latencyUs.slice(-PER_S)) / 1_000;
  const extraMs: number[] = [];
  const calmMs: number[] = [];
  const look = async (into: number[], ms: number): Promise<void> => {
    await sleep(ms);
    into.push(arrivals.takeWorstMs() - usualMs);
  };
  for (let move = 0; move < moves; move++) {
    const to = (move + 1) % ids.length;
    arrivals.takeWorstMs();
    await look(calmMs, CALM_MS);
    await servers[move % ids.length].ask({ kind: 'move', target: { id: ids[to], address: `ws://127.0.0.1:${slow[to]}/evenkeel` } });
    await look(extraMs, windowMs);
  }
  client.close();
  await Promise.all([between, ...servers].map((worker) => worker.stop()));
  await host.close();
  return { extraMs, calmMs, usualMs, published: arrivals.last - arrivals.first + 1, lost: arrivals.lost, repeated: arrivals.repeated };
}

const given = (kind: Kind, engine: string, id: string): StreamServerGiven => ({ kind, engine, id });

const [ourMoves, theirMoves, delayMs] = numbersFrom(process.argv.slice(2), [30, 8, 20]);
const roundTripMs = 2 * delayMs;
console.log(machine());
console.log(`${PER_S} messages a second, round trip ${roundTripMs} ms, ${ourMoves} moves of ours, ${theirMoves} of each of the others`);
const results: { readonly variant: Variant; readonly told: Told }[] = [];
for (const variant of VARIANTS) results.push({ variant, told: await measure(variant, variant.kind === 'evenkeel' ? ourMoves : theirMoves, delayMs) });
const worst = (told: Told): number => Math.max(...told.extraMs) / roundTripMs;
console.table(
  results.map(({ variant, told }) => ({
    client: variant.name,
    'usual latency, ms': told.usualMs.toFixed(1),
    'latest message of a move, extra ms': inWords(told.extraMs, 0),
    'in round trips, median': (median(told.extraMs) / roundTripMs).toFixed(2),
    'worst move': worst(told).toFixed(2),
    [`moves at ${BAR} or more`]: `${told.extraMs.filter((ms) => ms >= BAR * roundTripMs).length} of ${told.extraMs.length}`,
    'the same without a move, ms': inWords(told.calmMs, 0),
    messages: told.published,
    lost: told.lost,
    repeated: told.repeated,
  })),
);
const [{ told: ours }] = results;
sayVerdicts([
  {
    what: 'sessions: round trips that the latest message of a move was late, median of the moves',
    bar: { most: BAR },
    reached: median(ours.extraMs) / roundTripMs,
  },
  { what: 'sessions: the same, worst move', bar: { most: BAR }, reached: worst(ours) },
  { what: 'sessions: lost or repeated messages', bar: { most: 0 }, reached: ours.lost + ours.repeated },
  ...results.slice(1).map(({ variant, told }) => ({ what: `${variant.name}: the same, worst move`, bar: null, reached: worst(told) })),
]);
process.exit(0);
