// Servers in processes of their own, for stories in which one is killed with SIGKILL: a Socket.IO server, and a WebSocket echo that
// says who it is and how often its client was handed on.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

export interface Killable extends AsyncDisposable {
  readonly name: string;
  readonly port: number;
  readonly address: string;
  kill(): Promise<void>;
}

/** `port` 0: any that is free. */
export async function killable(kind: 'socket.io' | 'echo', name: string, port = 0): Promise<Killable> {
  const child: ChildProcess = fork(fileURLToPath(import.meta.url), [kind, name, String(port)]);
  const exited = once(child, 'exit');
  const [listening] = (await once(child, 'message')) as [number];
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  return { name, port: listening, address: `127.0.0.1:${listening}`, kill, [Symbol.asyncDispose]: kill };
}

function serve(kind: string, name: string, port: number): void {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end(`<title>${name}</title>`);
  });
  if (kind === 'socket.io') {
    new Server(server).on('connection', (socket) => {
      socket.on('say', (text: string, answer: (told: string) => void) => answer(`${name}: ${text}`));
    });
  } else {
    new WebSocketServer({ server, perMessageDeflate: false }).on('connection', (ws, request) => {
      const handed = request.headers['evenkeel-reconnect'] ?? '0';
      ws.on('error', () => ws.terminate());
      ws.on('message', (data) => ws.send(`${name} ${String(handed)}: ${(data as Buffer).toString()}`));
    });
  }
  server.listen(port, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
  process.on('disconnect', () => process.exit());
}

if (process.argv[1] === fileURLToPath(import.meta.url)) serve(process.argv[2], process.argv[3], Number(process.argv[4]));
