// A client over node:http2 that opens a new session after GOAWAY, as any careful client does. It asks again only what never
// left its own process; what else fails is counted. And certificates for servers that speak TLS.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http2, { constants, type ClientHttp2Session, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The last stream id of a GOAWAY that only gives notice. */
export const NOTICE = 0x7fffffff;

export interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
}

export class Caller {
  readonly #url: string;
  readonly #sessions = new Set<ClientHttp2Session>();
  #current: ClientHttp2Session | null = null;
  /** Those whose last GOAWAY was the notice. */
  readonly #warned = new WeakSet<ClientHttp2Session>();
  /** Sessions opened so far. */
  opened = 0;
  /** Streams that were asked for again because Node had not sent them yet when it read a GOAWAY. */
  unsent = 0;
  /** Session errors, for messages; a stream that it cost shows up by itself. */
  readonly errors: string[] = [];

  constructor(url: string) {
    this.#url = url;
  }

  get session(): ClientHttp2Session {
    const current = this.#current;
    if (current !== null && !current.closed && !current.destroyed) return current;
    const session = http2.connect(this.#url, { rejectUnauthorized: false });
    this.opened++;
    this.#current = session;
    this.#sessions.add(session);
    session.on('error', (error: Error) => this.errors.push(error.message));
    session.on('close', () => this.#sessions.delete(session));
    session.on('goaway', (_code: number, lastStream: number) => {
      if (lastStream === NOTICE) this.#warned.add(session);
      else this.#warned.delete(session);
    });
    return session;
  }

  async ask(headers: OutgoingHttpHeaders = {}, body?: Buffer | string): Promise<Answer> {
    for (;;) {
      const answer = await this.#ask(headers, body);
      if (answer !== 'unsent') return answer;
      this.unsent++;
    }
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #ask(headers: OutgoingHttpHeaders, body: Buffer | string | undefined): Promise<Answer | 'unsent'> {
    return new Promise((resolve, reject) => {
      const { session } = this;
      const stream = session.request({ ':path': '/', ...headers }, { endStream: body === undefined });
      let status = 0;
      let given: IncomingHttpHeaders = {};
      let trailers: IncomingHttpHeaders = {};
      const parts: Buffer[] = [];
      stream.on('response', (answer) => {
        given = answer;
        status = answer[':status'] ?? 0;
      });
      stream.on('trailers', (answer) => (trailers = answer));
      stream.on('data', (part: Buffer) => parts.push(part));
      stream.on('error', (error) => {
        // Node refuses by itself what it was asked for in the same turn of its event loop in which the notice came in. A
        // server that resets nothing (other tests look at its frames) cannot have refused what the notice allows.
        if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM && this.#warned.has(session)) resolve('unsent');
        else reject(error);
      });
      stream.on('close', () => {
        // 0 is NO_ERROR: anything else is a stream that was reset.
        if (status === 0 || stream.rstCode !== 0) return reject(new Error(`the stream ended without an answer (code ${stream.rstCode})`));
        resolve({ status, body: Buffer.concat(parts).toString(), headers: given, trailers });
      });
      if (body !== undefined) stream.end(body);
    });
  }
}

/** Asks `count` times, `atOnce` at a time, on one caller; returns what failed. */
export async function askMany(caller: Caller, count: number, atOnce: number): Promise<string[]> {
  const failures: string[] = [];
  let left = count;
  const worker = async (): Promise<void> => {
    while (left-- > 0) {
      const answer = await caller.ask().catch((error: Error) => error.message);
      if (typeof answer === 'string') failures.push(answer);
      else if (answer.status !== 200) failures.push(`status ${answer.status}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return failures;
}

export function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

/** A fresh self-signed certificate; null where openssl is not installed. */
export function certificate(): { readonly key: Buffer; readonly cert: Buffer } | null {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-'));
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
  try {
    const shape = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1', '-subj', '/CN=localhost'];
    execFileSync('openssl', ['req', '-x509', ...shape, '-keyout', key, '-out', cert], { stdio: 'ignore' });
    return { key: readFileSync(key), cert: readFileSync(cert) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
