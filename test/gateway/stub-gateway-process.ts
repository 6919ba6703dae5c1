// The smallest gateway that there is, as a command: a door in front of an HTTP server that answers with a text of its settings
// and its process id. Run with the path of a JSON file. The supervisor runs this module again as its workers.
import cluster from 'node:cluster';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { superviseGateway } from '../../src/cli/gateway/supervisor.ts';
import { runWorker, type Opened, type Place } from '../../src/cli/gateway/worker.ts';
import { EvenkeelError } from '../../src/core/errors.ts';
import { silentLog } from '../../src/core/log.ts';
import { openDoor } from '../../src/gateway/door/door.ts';
import { Guard } from '../../src/gateway/door/guard.ts';
import { realClock } from '../../src/host/clock.ts';
import { freshTicketKeys, realRandom } from '../../src/host/random.ts';
import { listener } from './fixture.ts';

export interface StubSettings {
  readonly port: number;
  readonly text: string;
  readonly workers: number;
  readonly drainMs: number;
  /** What goes wrong: opening, reloading, or nothing. */
  readonly broken: 'open' | 'reload' | 'no';
}

async function open(given: StubSettings, { slot }: Place): Promise<Opened<StubSettings>> {
  let settings = given;
  if (settings.broken === 'open') throw new EvenkeelError('EVENKEEL_BAD_OPTION', 'broken must be no to open, got open');
  const sockets = new Set<Socket>();
  let draining = false;
  const server = createServer((request, response) => {
    if (request.url === '/die') process.kill(process.pid, 'SIGKILL');
    if (draining) response.setHeader('Connection', 'close');
    response.end(`${settings.text} ${process.pid} ${slot}`);
  });
  const http1 = {
    accept(socket: Socket, _: unknown, head: Buffer | null): void {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      socket.pause();
      if (head !== null) socket.unshift(head);
      server.emit('connection', socket);
      socket.resume();
    },
  };
  const guard = new Guard({ connections: 10_000, perAddress: null, perAddressPerS: null }, realClock);
  const timeouts = { handshakeMs: 1_000, clientIdleMs: 5_000 };
  const where = listener({ listen: { host: '127.0.0.1', port: settings.port } });
  const door = await openDoor(where, { clock: realClock, log: silentLog, guard, timeouts, acceptors: { http1, http2: null } });
  return {
    facts: { port: door.address().port },
    gateway: {
      reload: (next) => {
        if (next.broken === 'reload') return Promise.reject(new EvenkeelError('EVENKEEL_BAD_OPTION', 'broken must be no to reload, got reload'));
        settings = next;
        return Promise.resolve();
      },
      drain: () => {
        draining = true;
        door.stop();
        const end = realClock.now() + settings.drainMs;
        return new Promise((resolve) => {
          const timer = setInterval(() => {
            if (sockets.size + door.waiting > 0 && realClock.now() < end) return;
            clearInterval(timer);
            resolve();
          }, 20);
        });
      },
      close: () => {
        door.close();
        for (const socket of sockets) socket.destroy();
        return Promise.resolve();
      },
    },
  };
}

function read(path: string): Promise<StubSettings> {
  try {
    return Promise.resolve(JSON.parse(readFileSync(path, 'utf8')) as StubSettings);
  } catch (error) {
    return Promise.reject(new EvenkeelError('EVENKEEL_BAD_OPTION', `${path} must be JSON, got something else`, error));
  }
}

async function main(path: string): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    const how = await superviseGateway<StubSettings>({
      module: new URL(import.meta.url),
      workers: (await read(path)).workers,
      read: () => read(path),
      renewals: (before, after) => (before.port === after.port ? [] : ['port']),
      drainLimitMs: (settings) => settings.drainMs + 2_000,
      listening: (facts) => void process.stdout.write(`${JSON.stringify(facts)}\n`),
      say,
      clock: realClock,
      random: realRandom,
      freshTicketKeys,
    });
    process.exitCode = how === 'drained' ? 0 : 1;
  } catch (error) {
    if (!EvenkeelError.is(error)) throw error;
    say(`error: ${error.message} (${error.code})`);
    process.exitCode = 2;
  }
}

if (cluster.isPrimary) await main(process.argv[2]);
else runWorker(open);
