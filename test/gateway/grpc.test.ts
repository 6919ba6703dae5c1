// gRPC by others through the gateway, without and with TLS: calls of every sort, statuses in trailers, deadlines, and what is taken back.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test, type TestContext } from 'node:test';
import { gatewaySettings, openGateway } from '../../src/gateway/index.ts';
import { eventually } from '../cli/command.ts';
import { cert, key } from '../transports/certificate.ts';
import { CLIENT, PYTHON, SERVER } from './grpc-peers.ts';

const skip = spawnSync(PYTHON, ['-c', 'import grpc, google.protobuf']).status === 0 ? false : 'python3-grpcio or python3-protobuf is not installed';

interface Peer {
  readonly lines: readonly string[];
  tell(line: string): void;
  kill(): Promise<void>;
}

async function peer(t: TestContext, program: string, ...args: string[]): Promise<Peer> {
  // It would say in the log of the test that an answer of 502 is no gRPC.
  const env = { ...process.env, GRPC_VERBOSITY: 'NONE' };
  const child = spawn(PYTHON, ['-c', program, ...args], { stdio: ['pipe', 'pipe', 'inherit'], env });
  const lines: string[] = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const exited = once(child, 'exit');
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await exited;
  };
  t.after(kill);
  await once(child, 'spawn');
  return { lines, tell: (line) => void child.stdin.write(`${line}\n`), kill };
}

const wanted = [
  ['unary', 'hello', 'a', [0, 255, 7], 'OK'],
  ['large', true],
  ['at once', true],
  ['server streams', true, 'OK'],
  ['client streams', 'a b c'],
  ['both stream', ['got one', 'got two', 'got three'], [], 'OK'],
  ['refused', ['FAILED_PRECONDITION', 'not now: 100 % \u00fc']],
  ['unknown', 'UNIMPLEMENTED'],
  ['broken off', ['DATA_LOSS', 'broken off'], ['0', '1', '2'], 'enough'],
  ['deadline', 'DEADLINE_EXCEEDED'],
  ['cancelled', ['more', 'more'], 'CANCELLED'],
  ['goes on', 'still here'],
];

for (const secure of [false, true]) {
  test(`gRPC of others passes as if nobody were between, ${secure ? 'over TLS on both sides' : 'in plain text'}`, { skip, timeout: 60_000 }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-grpc-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const files = { key: join(folder, 'key.pem'), cert: join(folder, 'cert.pem') };
    writeFileSync(files.key, key);
    writeFileSync(files.cert, cert);
    const server = await peer(t, SERVER, ...(secure ? [files.key, files.cert] : []));
    await eventually(() => server.lines.length > 0, 15_000, 'the server listens');
    const gateway = await openGateway(
      gatewaySettings({
        listeners: [secure ? { listen: 'localhost:0', tls: files } : 'localhost:0'],
        groups: { web: { upstreams: [`localhost:${server.lines[0].split(' ')[1]}`], http2: true, tls: secure && { ca: files.cert } } },
      }),
    );
    t.after(() => gateway.close());
    const client = await peer(t, CLIENT, `localhost:${gateway.listening[0].listen.port}`, ...(secure ? [files.cert] : []));
    await eventually(() => client.lines.length >= wanted.length, 15_000, 'the client has been through it');
    assert.deepEqual(
      client.lines.map((line) => JSON.parse(line) as unknown),
      wanted,
    );
    await eventually(() => server.lines.length >= 4, 5_000, 'the server hears what was taken back');
    assert.deepEqual(server.lines.slice(1).toSorted(), ['asked for seconds', 'endless gone True', 'sleeper gone True']);
    await eventually(() => gateway.groups.get('web')?.list()[0].active === 0, 5_000, 'nothing is carried');

    await server.kill();
    client.tell('go on');
    await eventually(() => client.lines.length > wanted.length, 10_000, 'an answer for a server that is gone');
    assert.deepEqual(JSON.parse(client.lines[wanted.length]), ['server gone', 'UNAVAILABLE']);
  });
}
