// A process of raw clients: opens connections, and counts what is published or asks for echoes without a pause.
import { speeches } from './dialects.ts';
import { LAST, nowUs, type ClientsGiven, type ClientsOrder, type Counted, type Echoed } from './orders.ts';
import type { RawSocket } from './raw-socket.ts';
import { followOrders } from './worker.ts';

/** So many connect at a time. */
const AT_ONCE = 100;
/** One in so many reads each publication: when it was published, and whether it is the only one. */
const SAMPLED = 50;

const { dialect, port } = JSON.parse(process.argv[2]) as ClientsGiven;
const speech = speeches[dialect];
const all: RawSocket[] = [];

async function open(connections: number): Promise<void> {
  let next = all.length;
  const end = next + connections;
  const work = async (): Promise<void> => {
    while (next < end) {
      const raw = await speech.open(port, next++);
      raw.socket.on('close', () => fail('the server closed a connection'));
      all.push(raw);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function fail(why: string): void {
  console.error(why);
  process.exit(1);
}

function count(publications: number): Promise<Counted> {
  const latenciesUs: number[] = [];
  let missing = all.length;
  let first = 0;
  return new Promise((resolve) => {
    const end = (): void => {
      if (--missing > 0) return;
      if (latenciesUs.length !== publications * Math.ceil(all.length / SAMPLED)) fail(`${latenciesUs.length} publications at the sampled connections`);
      resolve({ ms: (nowUs() - first) / 1_000, latenciesUs });
    };
    for (const [index, raw] of all.entries()) {
      const lasts = ending(end);
      const read = index % SAMPLED === 0 ? times((us) => void latenciesUs.push(us)) : null;
      raw.onBytes = (bytes) => {
        if (first === 0) first = nowUs();
        read?.(bytes);
        lasts(bytes);
      };
    }
    // Whoever publishes waits for this.
    process.send?.('listening');
  });
}

/** Calls `end` when the bytes end the last publication. */
function ending(end: () => void): (bytes: Buffer) => void {
  let before = '';
  return (bytes) => {
    const tail = bytes.length < 16 ? before + bytes.toString('latin1') : bytes.toString('latin1', bytes.length - 16);
    before = tail.slice(-16);
    if (tail.includes(LAST)) end();
  };
}

function times(found: (us: number) => void): (bytes: Buffer) => void {
  let rest = '';
  return (bytes) => {
    const now = nowUs();
    const text = rest + bytes.toString('latin1');
    let read = 0;
    for (const match of text.matchAll(/@(\d+)@/g)) {
      found(now - Number(match[1]));
      read = match.index + match[0].length;
    }
    rest = text.slice(Math.max(read, text.length - 40));
  };
}

const numbers = new Map<RawSocket, number>();

function echo(ms: number, method: string): Promise<Echoed> {
  let roundTrips = 0;
  let open = all.length;
  const startedAt = performance.now();
  let isOver = false;
  return new Promise((resolve) => {
    for (const raw of all) {
      let number = numbers.get(raw) ?? 0;
      const ask = (): void => raw.send(speech.echo(++number, method));
      raw.onBytes = (bytes) => {
        // A ping alone is no answer.
        if (bytes.length === 2) return;
        roundTrips++;
        if (!isOver) return ask();
        numbers.set(raw, number);
        if (--open === 0) resolve({ roundTrips, ms: performance.now() - startedAt });
      };
      ask();
    }
    setTimeout(() => (isOver = true), ms);
  });
}

followOrders((given) => {
  const order = given as ClientsOrder;
  if (order.kind === 'open') return open(order.connections);
  return order.kind === 'count' ? count(order.publications) : echo(order.ms, order.method);
});
process.send?.('ready');
