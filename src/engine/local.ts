/**
 * The engine of one machine: the memory engine of one process, served to the others over a Unix socket. Whoever comes first
 * hosts; when the host dies the others race for its place, and what it knew is gone: members announce themselves again,
 * leases start anew, keyed state is lost. A run that must not lose it gives the host a process of its own (`role`).
 *
 * @module
 */
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import { realClock } from '../host/clock.ts';
import { realRandom } from '../host/random.ts';
import { logOf } from '../host/warnings.ts';
import { bad } from './bounds.ts';
import type { Engine, Json } from './engine.ts';
import { JoinedEngine } from './joined.ts';
import { joinHost } from './local-guest.ts';
import { LocalHost } from './local-host.ts';
import { findPlace, type Place, type PlaceOptions } from './local-place.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';

/** `host` must host, and every call rejects with EVENKEEL_PORT_TAKEN when another does; `join` never hosts. */
export type LocalRole = 'auto' | 'host' | 'join';

export interface LocalOptions extends PlaceOptions {
  readonly role?: LocalRole;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log | null | undefined;
  /** Longest time that a call may last, ms. Default 2000. */
  readonly timeoutMs?: number;
}

/** A greeting has 1 s; a race for the place may take another one. */
const TAKE_MS = 2_500;
/** On one machine attempts are cheap, and others wait for a host. */
const PAUSE_MS = 500;
/** Rounds of finding nobody and then being too late; each means that another process became host meanwhile. */
const ROUNDS = 4;
const WATCH_MS = 1_000;

/** Throws EVENKEEL_BAD_OPTION for a bad name, role or directory; everything else is told by health and by the calls. */
export function localEngine(options: LocalOptions): Engine {
  const { role = 'auto', clock = realClock, random = realRandom, timeoutMs = 2_000 } = options;
  const log = logOf(options.log);
  if (role !== 'auto' && role !== 'host' && role !== 'join') throw bad('role', "must be 'auto', 'host' or 'join'", role);
  const place = findPlace(options);
  const name = `local engine ${options.name}`;
  const take = (owner: SeatOwner): Promise<Seat> => takeSeat({ name, role, place, clock, log }, owner);
  return new JoinedEngine({ kind: 'local', name, clock, random, log, take, timeoutMs, takeMs: TAKE_MS, pauseMs: PAUSE_MS });
}

interface Surroundings {
  readonly name: string;
  readonly role: LocalRole;
  readonly place: Place;
  readonly clock: Clock;
  readonly log: Log;
}

async function takeSeat(around: Surroundings, owner: SeatOwner): Promise<Seat> {
  const { role, place, clock } = around;
  for (let round = 0; round < ROUNDS; round++) {
    if (role !== 'host') {
      const guest = await joinHost({ clock, socketPath: place.socketPath, secret: place.secret }, owner);
      if (guest !== null) return guest;
    }
    if (role === 'join') throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'nobody hosts it, and this process may only join');
    const host = await becomeHost(around, owner);
    if (host !== null) return host;
    if (role === 'host') throw new EvenkeelError('EVENKEEL_PORT_TAKEN', `${around.name} must be hosted by this process, but another process hosts it`);
  }
  throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'others were faster to host it, and gone again');
}

/** Null when another process holds the name. */
async function becomeHost(around: Surroundings, owner: SeatOwner): Promise<Seat | null> {
  const { place, clock, log } = around;
  const host = new LocalHost({ clock, log, secret: place.secret }, owner);
  const bound = await listens(host, place.file?.freshPath ?? place.socketPath);
  if (!bound) {
    host.leave();
    return null;
  }
  if (place.file === null) return host;
  const taken = await place.file
    .take(() => answers(around), clock.wallTime())
    .catch((error: unknown) => {
      host.leave();
      throw error;
    });
  if (taken) return new FileHost(host, place, { clock, owner });
  host.leave();
  return null;
}

/** False when the name is taken. Any other failure means that nobody can host here, and is worth another try. */
function listens(host: LocalHost, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    host.server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(false);
      else reject(new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', error.message, error));
    });
    host.server.listen({ path }, () => {
      host.server.removeAllListeners('error');
      // Accepting can fail for want of file descriptors; the guest will try again.
      host.server.on('error', () => {});
      resolve(true);
    });
  });
}

/** Whether somebody hosts at the socket file, even if it does not answer now: a stopped host keeps its place. */
async function answers(around: Surroundings): Promise<boolean> {
  const { place, clock } = around;
  const nobody: SeatOwner = { deliver() {}, entry() {}, lost() {}, signal: new AbortController().signal };
  try {
    const guest = await joinHost({ clock, socketPath: place.socketPath, secret: place.secret }, nobody);
    guest?.leave();
    return guest !== null;
  } catch (error) {
    if (!EvenkeelError.is(error)) throw error;
    return true;
  }
}

/** A host by socket file: a file can be replaced under it, and then it steps down. */
class FileHost implements Seat {
  readonly #host: LocalHost;
  readonly #place: Place;
  readonly #watch: Timer;

  constructor(host: LocalHost, place: Place, around: { readonly clock: Clock; readonly owner: SeatOwner }) {
    this.#host = host;
    this.#place = place;
    this.#watch = around.clock.every(WATCH_MS, () => {
      if (place.file?.isOurs() !== true) around.owner.lost('another process took its place');
    });
  }

  call(call: Call): Promise<Json> {
    return this.#host.call(call);
  }

  leave(): void {
    this.#watch.cancel();
    this.#place.file?.giveUp();
    this.#host.leave();
  }
}
