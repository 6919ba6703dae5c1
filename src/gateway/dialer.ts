// Opens connections to upstreams: TCP, the PROXY header first where the group wants it, TLS with its checks and with sessions
// that are used again. Says once whether it worked, and if not, why.
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { ClientFacts, DialAnswer, Dialer, DialWishes, Upstream } from './ports.ts';
import { proxyHeader } from './proxy-protocol/write.ts';
import type { Timeouts, UpstreamTlsSettings } from './settings.ts';

export interface DialerPorts {
  readonly clock: Clock;
  /** Read anew for each connection: a reload replaces what is in it. */
  readonly timeouts: Pick<Timeouts, 'connectMs'>;
}

export interface DialCounts {
  /** Attempts, and how they ended; the rest is under way or was given up by who wanted it. */
  dialed: number;
  ready: number;
  /** By what went wrong: nobody listens, nobody answered in time, the certificate or the handshake, anything else. */
  readonly failed: Record<'refused' | 'timeout' | 'tls' | 'other', number>;
}

export interface CountingDialer extends Dialer {
  readonly counts: Readonly<DialCounts>;
}

export function openDialer(ports: DialerPorts): CountingDialer {
  return new NetDialer(ports);
}

/** An upstream that vanished without a word is found by the kernel, which begins to ask after this, ms. */
const KEEP_ALIVE_MS = 60_000;

/** TLS sessions kept per group; beyond, a full handshake is made. */
const SESSIONS = 1_000;

/** What all connections are read into that lend what comes: nobody keeps it, and nothing else is read meanwhile. */
const LENT = Buffer.allocUnsafeSlow(65_536);

const lending =
  (lent: (bytes: Buffer) => void) =>
  (count: number): boolean => {
    lent(LENT.subarray(0, count));
    return true;
  };

/** What is made of TLS settings once, and forgotten with them. */
interface TlsMemory {
  readonly context: SecureContext;
  readonly sessions: Map<string, Buffer>;
}

class NetDialer implements CountingDialer {
  readonly counts: DialCounts = { dialed: 0, ready: 0, failed: { refused: 0, timeout: 0, tls: 0, other: 0 } };
  readonly #ports: DialerPorts;
  readonly #tls = new WeakMap<UpstreamTlsSettings, TlsMemory>();

  constructor(ports: DialerPorts) {
    this.#ports = ports;
  }

  dial(upstream: Upstream, client: ClientFacts | null, answer: DialAnswer, { protocol, lent }: DialWishes = {}): Socket {
    const { tls, sendProxy } = upstream.settings;
    const { host, port } = upstream.address;
    this.counts.dialed++;
    const options = { host, port, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS };
    const raw = connect(tls === null && lent !== undefined ? { ...options, onread: { buffer: LENT, callback: lending(lent) } } : options);
    // Written before TLS gets hold of the connection, it leaves before the first byte of TLS.
    if (sendProxy !== null) raw.write(proxyHeader(sendProxy, client));
    const socket = tls === null ? raw : this.#secure(raw, upstream, tls, protocol);
    this.#watch(socket, { upstream, event: tls === null ? 'connect' : 'secureConnect', answer });
    return socket;
  }

  #watch(socket: Socket, { upstream, event, answer }: { readonly upstream: Upstream; readonly event: string; readonly answer: DialAnswer }): void {
    const { connectMs } = this.#ports.timeouts;
    const done = (): void => {
      timer.cancel();
      socket.off(event, onReady);
      socket.off('error', onError);
      socket.off('close', done);
    };
    const onReady = (): void => {
      done();
      this.counts.ready++;
      answer.ready();
    };
    const fail = (error: EvenkeelError, kind: keyof DialCounts['failed']): void => {
      done();
      this.counts.failed[kind]++;
      // What else goes wrong with it has been told.
      socket.on('error', () => {});
      socket.destroy();
      answer.failed(error);
    };
    const onError = (error: NodeJS.ErrnoException): void => {
      const kind = kindOf(error, event === 'secureConnect');
      fail(inOneLine(upstream, error, kind), kind);
    };
    const { clock } = this.#ports;
    const giveUp = (): void => fail(unreachable(upstream, `must take connections within ${connectMs} ms, got nothing`, late()), 'timeout');
    // A process that stood still has the answer perhaps, and has not heard it yet: it does in the turn between the two.
    let timer = clock.after(connectMs, () => void (timer = clock.after(0, giveUp)));
    socket.on(event, onReady);
    socket.on('error', onError);
    // Who wanted it gave it up.
    socket.on('close', done);
  }

  #secure(raw: Socket, { address }: Upstream, settings: UpstreamTlsSettings, protocol?: 'h2'): Socket {
    const { context, sessions } = this.#memory(settings);
    const key = `${address.host} ${address.port} ${protocol ?? ''}`;
    const servername = settings.serverName ?? (isIP(address.host) === 0 ? address.host : '');
    const session = sessions.get(key);
    const socket = connectTls({
      socket: raw,
      // What the certificate is compared with where no name is sent.
      host: address.host,
      secureContext: context,
      rejectUnauthorized: settings.verify,
      ...(servername === '' ? {} : { servername }),
      ...(protocol === undefined ? {} : { ALPNProtocols: [protocol] }),
      ...(session === undefined ? {} : { session }),
    });
    socket.on('session', (fresh: Buffer) => {
      if (sessions.has(key) || sessions.size < SESSIONS) sessions.set(key, fresh);
    });
    return socket;
  }

  #memory(settings: UpstreamTlsSettings): TlsMemory {
    const known = this.#tls.get(settings);
    if (known !== undefined) return known;
    const memory: TlsMemory = { context: createSecureContext(settings.ca === null ? {} : { ca: settings.ca }), sessions: new Map() };
    this.#tls.set(settings, memory);
    return memory;
  }
}

/** As the system says it, for those who tell this from other failures. */
const late = (): Error => Object.assign(new Error('nobody answered in time'), { code: 'ETIMEDOUT' });

function kindOf({ code = '' }: NodeJS.ErrnoException, secure: boolean): keyof DialCounts['failed'] {
  if (code === 'ECONNREFUSED') return 'refused';
  if (code === 'ETIMEDOUT') return 'timeout';
  // Codes of the system begin like this; all others come from the certificate or the handshake.
  return secure && !/^E[A-Z]+$/.test(code) ? 'tls' : 'other';
}

function inOneLine(upstream: Upstream, error: NodeJS.ErrnoException, kind: keyof DialCounts['failed']): EvenkeelError {
  const rule = kind === 'tls' ? 'must finish a TLS handshake with a certificate that holds' : 'must take connections';
  const { code, message } = error;
  const what = code === undefined ? message : kind === 'tls' ? `${code} (${message.split('\n')[0]})` : code;
  return unreachable(upstream, `${rule}, got ${what}`, error);
}

function unreachable({ name, group, address }: Upstream, what: string, cause?: Error): EvenkeelError {
  const where = `${address.host}:${address.port}`;
  return new EvenkeelError('EVENKEEL_UPSTREAM_UNREACHABLE', `upstream ${name === where ? name : `${name} (${where})`} of group ${group} ${what}`, cause);
}
