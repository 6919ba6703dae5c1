// Programs that others wrote, as clients and servers of the gateway: run once, or kept until a test is over.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Certificate } from '../../src/gateway/settings.ts';
import { eventually } from '../cli/command.ts';

/** Why tests with these programs cannot run here; false when they can. */
export function missing(...programs: readonly string[]): string | false {
  const absent = programs.filter((program) => spawnSync('which', [program]).status !== 0);
  return absent.length === 0 ? false : `${absent.join(', ')} must be installed`;
}

/** What a program wrote to its standard output. Its exit code must be 0 unless told otherwise. */
export function run(
  program: string,
  args: readonly string[],
  { input = '', fails = false }: { readonly input?: string; readonly fails?: boolean } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { timeout: 20_000 });
    let out = '';
    let err = '';
    child.stdout.on('data', (bytes) => (out += String(bytes)));
    child.stderr.on('data', (bytes) => (err += String(bytes)));
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    child.on('error', reject);
    child.on('close', (code) => (code === 0 || fails ? resolve(fails ? out + err : out) : reject(new Error(`${program} ended with ${code}: ${err || out}`))));
  });
}

export interface Haproxy extends AsyncDisposable {
  readonly process: ChildProcess;
}

/** HAProxy with a frontend on each port, in the lines of its configuration. */
export async function startHaproxy(port: number, lines: readonly string[]): Promise<Haproxy> {
  const folder = mkdtempSync(join(tmpdir(), 'evk-haproxy-'));
  const file = join(folder, 'haproxy.cfg');
  const defaults = ['defaults', '  mode http', '  timeout connect 5s', '  timeout client 20s', '  timeout server 20s'];
  writeFileSync(file, ['global', '  maxconn 1000', ...defaults, ...lines, ''].join('\n'));
  const process = spawn('haproxy', ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  process.stderr.on('data', (bytes) => (said += String(bytes)));
  const exited = new Promise<void>((resolve) => void process.on('close', () => resolve()));
  let answers = false;
  connectUntil(port, () => (answers = true));
  await eventually(() => answers || process.exitCode !== null, 5_000, `haproxy listens: ${said}`);
  if (process.exitCode !== null) throw new Error(`haproxy ended: ${said}`);
  return {
    process,
    [Symbol.asyncDispose]: async () => {
      process.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true });
    },
  };
}

function connectUntil(port: number, done: () => void, attempts = 200): void {
  const socket = connect(port, '127.0.0.1', () => {
    socket.destroy();
    done();
  });
  socket.on('error', () => {
    if (attempts > 0) setTimeout(() => connectUntil(port, done, attempts - 1), 20);
  });
}

/** A self-signed certificate for these names. */
export function makeCertificate(...names: readonly string[]): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'evk-certificate-'));
  const at = (name: string): string => join(folder, name);
  const alternatives = names.map((name) => (/^[\d.]+$/.test(name) ? `IP:${name}` : `DNS:${name}`));
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', at('key.pem')];
  const subject = ['-subj', `/CN=${names[0]}`, '-addext', `subjectAltName=${alternatives.join(',')}`];
  const { status, stderr } = spawnSync('openssl', ['req', '-x509', ...key, ...subject, '-days', '30', '-out', at('cert.pem')]);
  if (status !== 0) throw new Error(`openssl ended with ${status}: ${String(stderr)}`);
  const certificate = { cert: readFileSync(at('cert.pem'), 'utf8'), key: readFileSync(at('key.pem'), 'utf8') };
  rmSync(folder, { recursive: true });
  return certificate;
}
