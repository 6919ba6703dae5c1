// HAProxy as the balancer's process of the demo: takes the orders and gives the samples of the demo's own balancer. HAProxy
// ends with this process, however that ends.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BalancerSample, FromBalancer, ToBalancer } from '../../src/cli/demo/messages.ts';
import { followParent, tellParent } from '../../src/cli/parent.ts';

/** Why tests with HAProxy cannot run here; false when they can. */
export const noHaproxy: string | false = spawnSync('haproxy', ['-v']).error === undefined ? false : 'haproxy is not installed';

const SAMPLE_MS = 200;
const START_MS = 10_000;

/** As the guide to balancers has it, with the intervals of the demo's own balancer. */
function configuration({ port, backends }: ToBalancer, socket: string): string {
  const servers = backends.map((backend) => `  server ${backend.id} 127.0.0.1:${backend.port}`);
  return [
    'global',
    `  stats socket ${socket}`,
    '  maxconn 5000',
    'defaults',
    '  mode tcp',
    '  timeout connect 2s',
    '  timeout client 1h',
    '  timeout server 1h',
    '  option redispatch',
    'frontend clients',
    `  bind 127.0.0.1:${port} backlog 4096`,
    '  default_backend fleet',
    'backend fleet',
    '  balance random',
    '  option httpchk GET /evenkeel/rotation',
    '  default-server check inter 500ms fall 1 rise 1',
    ...servers,
    '',
  ].join('\n');
}

/** A shell between us waits for the end of our life: then its input ends. */
const WATCHDOG = '"$@" & pid=$!; read -r line; kill -9 $pid; rm -rf "$FOLDER"';

function startHaproxy(order: ToBalancer): { readonly process: ChildProcess; readonly socket: string; readonly folder: string } {
  const folder = mkdtempSync(join(tmpdir(), 'evk-haproxy-'));
  const socket = join(folder, 'stats');
  const file = join(folder, 'haproxy.cfg');
  writeFileSync(file, configuration(order, socket));
  const process_ = spawn('sh', ['-c', WATCHDOG, 'sh', 'haproxy', '-db', '-f', file], {
    env: { ...process.env, FOLDER: folder },
    stdio: ['pipe', 'ignore', 'pipe'],
    // Ctrl-C in a terminal is for whoever started the test.
    detached: true,
  });
  return { process: process_, socket, folder };
}

/** The rows of `show stat`, by the names of their columns. */
function readStatistics(socket: string): Promise<Record<string, string>[]> {
  return new Promise((resolve, reject) => {
    const link = connect(socket, () => link.write('show stat\n'));
    let text = '';
    link.on('data', (bytes: Buffer) => (text += bytes.toString()));
    link.on('error', reject);
    link.on('end', () => {
      const [head, ...rows] = text.replace(/^# /, '').trim().split('\n');
      const names = head.split(',');
      resolve(rows.map((row) => Object.fromEntries(row.split(',').map((value, i) => [names[i], value]))));
    });
  });
}

async function sample(socket: string): Promise<BalancerSample> {
  const rows = (await readStatistics(socket)).filter(({ pxname, svname }) => pxname === 'fleet' && svname !== 'BACKEND');
  const errors = rows.map(({ svname, econ }) => [`${svname}: connections that could not be opened`, Number(econ)] as const);
  return {
    kind: 'sample',
    connections: Object.fromEntries(rows.map(({ svname, scur }) => [svname, Number(scur)])),
    passing: Object.fromEntries(rows.map(({ svname, status, check_status: check }) => [svname, status === 'UP' && check === 'L7OK'])),
    troubles: Object.fromEntries(errors.filter(([, times]) => times > 0)),
  };
}

async function run(order: ToBalancer): Promise<void> {
  const tell = (message: FromBalancer): void => tellParent(message);
  const { process: haproxy, socket, folder } = startHaproxy(order);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  let said = '';
  haproxy.stderr?.on('data', (bytes: Buffer) => (said += bytes.toString()));
  const end = performance.now() + START_MS;
  let answered = false;
  for (;;) {
    try {
      tell(await sample(socket));
      if (!answered) tell({ kind: 'ready' });
      answered = true;
    } catch (error) {
      if (answered || performance.now() > end) return tell({ kind: 'failed', reason: `${String(error)} ${said}` });
    }
    await sleep(SAMPLE_MS);
  }
}

if (process.send !== undefined) followParent((order) => void run(order as ToBalancer));
