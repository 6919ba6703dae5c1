// Python's websockets as servers and as clients: programs that are given as text, told lines, and heard by theirs.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { until } from './relay-stage.ts';

/** Debian's own first: its packages are not seen by others. */
const python = ['/usr/bin/python3', 'python3'].find((command) => spawnSync(command, ['-c', 'import websockets']).status === 0);

export const noPython: string | false = python === undefined ? 'python3-websockets is not installed' : false;

/** Says its port, and answers each message with `reply`: Python, of `ws` and `message`. */
export const pythonServer = (reply: string): string => `
import asyncio, os, websockets
async def echo(ws):
    async for message in ws:
        await ws.send(${reply})
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
`;

export class Python implements AsyncDisposable {
  readonly child: ChildProcess;
  readonly lines: string[] = [];

  constructor(program: string, ...args: string[]) {
    this.child = spawn(python ?? '', ['-c', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.child.stdout !== null) createInterface(this.child.stdout).on('line', (line) => this.lines.push(line));
  }

  /** Its `count`th line. */
  async says(count: number): Promise<string> {
    await until(() => this.lines.length >= count, `line ${count} of Python; got ${this.lines.join(', ')}`, 20_000);
    return this.lines[count - 1];
  }

  tell(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** SIGKILL, where it has not ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const exited = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await exited;
  }
}
