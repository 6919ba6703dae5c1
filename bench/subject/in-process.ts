// An HTTP/1.1 server without a network: requests come from memory and answers go there, so that what is measured is
// JavaScript and the parser. Told `batch`, it answers so many requests and says what one took.
import { createServer } from 'node:http';
import { Duplex } from 'node:stream';
import { evenkeel } from '../../src/server/index.ts';

const BATCH = 30_000;
const SOCKETS = 64;
const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');

class MemorySocket extends Duplex {
  readonly #answered: () => void;

  constructor(answered: () => void) {
    super();
    this.#answered = answered;
  }

  ask(): void {
    this.push(REQUEST);
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    done();
    if (chunk.length > 0) this.#answered();
  }

  /** Head, body and end of an answer come together, as they reach a real socket. */
  override _writev(_chunks: unknown, done: () => void): void {
    done();
    this.#answered();
  }
}

const server = createServer((_request, response) => void response.end('hello world\n'));
if (process.argv[2] === 'attached') evenkeel({ fleet: 'bench', engine: 'memory', signals: [] }).attach(server);

let toAsk = 0;
let toCome = 0;
let finish = (): void => {};

const sockets = Array.from({ length: SOCKETS }, () => {
  const socket: MemorySocket = new MemorySocket(() => {
    if (--toCome === 0) finish();
    // Not at once: the answer is not over before Node has heard that it was written.
    else if (toAsk-- > 0) setImmediate(() => socket.ask());
  });
  return socket;
});
for (const socket of sockets) server.emit('connection', socket);

/** CPU of the process per request, us. */
async function batch(): Promise<number> {
  toCome = BATCH;
  toAsk = BATCH - SOCKETS;
  const before = process.cpuUsage();
  const finished = new Promise<void>((resolve) => void (finish = resolve));
  for (const socket of sockets) socket.ask();
  await finished;
  const { user, system } = process.cpuUsage(before);
  return (user + system) / BATCH;
}

process.on('disconnect', () => process.exit(0));
process.on('message', () => void batch().then((us) => process.send?.(us)));
