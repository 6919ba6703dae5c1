// Python's websockets as client and as servers of the command: the server that carries the client is killed, and the next one is told
// by a header that the client has been somewhere else before.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { noPython, Python, pythonServer } from './python.ts';
import { start } from './started.ts';

/** Who it is, what it was told of the client, and the message. Newer versions call the headers otherwise. */
const SERVER = pythonServer(`f"{os.getpid()} {(getattr(ws, 'request_headers', None) or ws.request.headers).get('Evenkeel-Reconnect', '0')} {message}"`);

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

function python(t: TestContext, program: string, ...args: string[]): Python {
  const opened = new Python(program, ...args);
  t.after(() => opened[Symbol.asyncDispose]());
  return opened;
}

test('a Python client outlives its Python server, and the next server is told', { skip: noPython }, async (t) => {
  const servers = [python(t, SERVER), python(t, SERVER), python(t, SERVER)];
  const upstreams = await Promise.all(servers.map(async (server) => `127.0.0.1:${await server.says(1)}`));
  const gateway = await start(t, { listeners: ['127.0.0.1:0'], groups: { web: { upstreams, websocket: { failover: true } } } });
  const client = python(t, CLIENT, `ws://${gateway.address()}/`);
  const asks = async (text: string): Promise<{ pid: number; again: string; text: string }> => {
    client.tell(text);
    const [pid, again, ...rest] = (await client.says(client.lines.length + 1)).split(' ');
    return { pid: Number(pid), again, text: rest.join(' ') };
  };
  const seen = new Set<number>();
  for (const number of ['0', '1', '2']) {
    const answer = await asks(`round ${number}`);
    assert.deepEqual(answer, { pid: answer.pid, again: number, text: `round ${number}` });
    seen.add(answer.pid);
    if (number !== '2') await servers.find(({ child }) => child.pid === answer.pid)?.[Symbol.asyncDispose]();
  }
  assert.equal(seen.size, 3, 'three servers, one after the other');
  client.tell('close');
  assert.equal(await client.says(4), 'closed 1000', 'the last server closes normally');
});
