// Python's websockets as client and as servers of the command: the server that carries the client is killed, and the next one is told
// by a header that the client has been somewhere else before.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { eventually } from '../cli/command.ts';
import { start } from './started.ts';

/** Debian's own: its packages are not seen by others. */
const PYTHON = '/usr/bin/python3';
const skip = spawnSync(PYTHON, ['-c', 'import websockets']).status === 0 ? false : 'python3-websockets is not installed';

const SERVER = `
import asyncio, os, websockets
async def echo(ws, path):
    again = ws.request_headers.get("Evenkeel-Reconnect", "0")
    async for message in ws:
        await ws.send(f"{os.getpid()} {again} {message}")
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

const CLIENT = `
import asyncio, sys, websockets
async def main():
    async with websockets.connect(sys.argv[1]) as ws:
        loop = asyncio.get_running_loop()
        while True:
            line = (await loop.run_in_executor(None, sys.stdin.readline)).strip()
            if line == "close":
                await ws.close()
                print("closed", ws.close_code, flush=True)
                return
            await ws.send(line)
            print(await ws.recv(), flush=True)
asyncio.run(main())
`;

interface Python {
  readonly pid: number;
  readonly lines: readonly string[];
  tell(line: string): void;
  kill(): Promise<void>;
}

async function python(t: TestContext, program: string, ...args: string[]): Promise<Python> {
  const child = spawn(PYTHON, ['-c', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  t.after(kill);
  await once(child, 'spawn');
  return { pid: child.pid ?? 0, lines, tell: (line) => void child.stdin.write(`${line}\n`), kill };
}

test('a Python client outlives its Python server, and the next server is told', { skip }, async (t) => {
  const servers = await Promise.all([python(t, SERVER), python(t, SERVER), python(t, SERVER)]);
  await eventually(() => servers.every(({ lines }) => lines.length === 1), 15_000, 'the servers listen');
  const upstreams = servers.map(({ lines }) => `127.0.0.1:${lines[0]}`);
  const gateway = await start(t, { listeners: ['127.0.0.1:0'], groups: { web: { upstreams, websocket: { failover: true } } } });
  const client = await python(t, CLIENT, `ws://${gateway.address()}/`);
  const asks = async (text: string): Promise<{ pid: number; again: string; text: string }> => {
    const count = client.lines.length;
    client.tell(text);
    await eventually(() => client.lines.length > count, 10_000, `an answer to ${text}`);
    const [pid, again, ...rest] = client.lines[count].split(' ');
    return { pid: Number(pid), again, text: rest.join(' ') };
  };
  const seen = new Set<number>();
  for (const number of ['0', '1', '2']) {
    const answer = await asks(`round ${number}`);
    assert.deepEqual(answer, { pid: answer.pid, again: number, text: `round ${number}` });
    seen.add(answer.pid);
    if (number !== '2') await servers.find(({ pid }) => pid === answer.pid)?.kill();
  }
  assert.equal(seen.size, 3, 'three servers, one after the other');
  client.tell('close');
  await eventually(() => client.lines.at(-1) === 'closed 1000', 5_000, 'the last server closes normally');
});
