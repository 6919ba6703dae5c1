// Runs the gateway as processes that can be replaced: it reads the configuration, starts workers that share the listening
// sockets, hands them what changed, and has new ones take over while the old ones drain. It carries no connection itself.
import { fileURLToPath } from 'node:url';
import { backoffMs } from '../../core/backoff.ts';
import type { Clock, Timer } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import type { Random } from '../../core/random.ts';
import { stayAlive } from '../../host/clock.ts';
import { onSignals } from '../../host/signals.ts';
import { setUpWorkers, WorkerProcess } from './worker-process.ts';
import type { Exit } from '../child.ts';

export interface SuperviseOptions<S> {
  /** What workers run; it calls `runWorker`. */
  readonly module: URL;
  /** Processes that serve at a time. */
  readonly workers: number;
  /** Reads and checks the configuration. What it throws as an EvenkeelError is told, and on a reload the old one stays. */
  readonly read: () => Promise<S>;
  /** What differs that only a new process can take over, by name; empty: a reload in place will do. */
  readonly renewals: (before: S, after: S) => readonly string[];
  /** How long a worker may take to drain before it is ended, ms. */
  readonly drainLimitMs: (settings: S) => number;
  /** Called once, when all listen, with what the first worker says of itself. */
  readonly listening: (facts: unknown) => void;
  /** One line for whoever runs it. */
  readonly say: (line: string) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** Makes keys that all processes seal the tickets of TLS sessions with, so that a client resumes with any of them. */
  readonly freshTicketKeys: () => Uint8Array;
}

/**
 * SIGHUP reloads, SIGUSR2 replaces the processes, SIGTERM and SIGINT drain, twice ends at once. Resolves when all processes have
 * ended: `drained` in order, `ended` at once. Throws what the first start fails with; then nothing is left running.
 */
export async function superviseGateway<S>(options: SuperviseOptions<S>): Promise<'drained' | 'ended'> {
  const settings = await options.read();
  setUpWorkers(fileURLToPath(options.module));
  const supervisor = new Supervisor(options, settings);
  // Between two workers there is nothing else that would.
  const alive = stayAlive();
  const signals = onSignals(['SIGHUP', 'SIGUSR2', 'SIGTERM', 'SIGINT'], (signal) => supervisor.signalled(signal));
  try {
    await supervisor.start();
    return await supervisor.over;
  } finally {
    signals.stop();
    alive.stop();
    supervisor.endAtOnce();
  }
}

/** What serves in one of the places. */
type Seat<S> =
  | { readonly state: 'empty' }
  | { readonly state: 'serving'; readonly process: WorkerProcess<S>; readonly since: number }
  /** It died; another is started later. `failures`: in a row. */
  | { readonly state: 'waiting'; readonly timer: Timer; readonly failures: number };

type Stage = 'running' | 'draining' | 'ended';

/** A worker that dies at once is tried again after up to this, and up to twice as long each time. */
const BACKOFF = { baseMs: 200, capMs: 10_000 };

/** One that served for this long has shown that it can; its death is the first of a row. */
const PROVEN_MS = 10_000;

/**
 * Tickets are sealed with other keys after this. `node:tls` knows one set at a time: who comes with a ticket of the one before makes a
 * whole handshake, once an hour at most; a ticket is good for five minutes anyway.
 */
const RESEAL_MS = 3_600_000;

/** Old processes that may drain at a time. Whoever replaces faster than they empty loses the oldest. */
const DRAINING = 16;

class Supervisor<S> {
  readonly #options: SuperviseOptions<S>;
  #settings: S;
  #stage: Stage = 'running';
  readonly #seats: Seat<S>[];
  /** Everything that runs, whether it serves or not. */
  readonly #alive = new Set<WorkerProcess<S>>();
  #ticketKeys: Uint8Array;
  readonly #resealing: Timer;
  readonly #drained: WorkerProcess<S>[] = [];
  /** What was asked for and is not begun: at most one of each, whoever asks again meanwhile is served with it. */
  readonly #wanted = new Set<'reload' | 'replace'>();
  #working = false;
  #resolve: (how: 'drained' | 'ended') => void = () => {};
  readonly over: Promise<'drained' | 'ended'>;

  constructor(options: SuperviseOptions<S>, settings: S) {
    this.#options = options;
    this.#settings = settings;
    this.#ticketKeys = options.freshTicketKeys();
    this.#resealing = options.clock.every(RESEAL_MS, () => this.#reseal());
    this.#seats = Array.from({ length: options.workers }, () => ({ state: 'empty' }));
    this.over = new Promise((resolve) => (this.#resolve = resolve));
  }

  async start(): Promise<void> {
    this.#working = true;
    try {
      let facts: unknown = null;
      for (let slot = 0; slot < this.#seats.length && this.#stage === 'running'; slot++) {
        const said = await this.#fill(slot, this.#settings);
        if (slot === 0) facts = said;
      }
      if (this.#stage === 'running') this.#options.listening(facts);
    } catch (error) {
      // What was ended by a signal while it started did not fail.
      if (this.#stage === 'running') throw error;
    }
    this.#working = false;
    void this.#work();
  }

  signalled(signal: NodeJS.Signals): void {
    if (signal === 'SIGHUP' || signal === 'SIGUSR2') {
      this.#wanted.add(signal === 'SIGHUP' ? 'reload' : 'replace');
      void this.#work();
    } else if (this.#stage === 'running') this.#drainAll();
    else this.endAtOnce();
  }

  /** No goodbyes. */
  endAtOnce(): void {
    if (this.#stage === 'ended') return;
    this.#stage = 'ended';
    this.#resealing.cancel();
    this.#cancelRestarts();
    for (const process of this.#alive) process.kill();
    this.#settle();
  }

  #drainAll(): void {
    this.#stage = 'draining';
    this.#cancelRestarts();
    for (const process of this.#alive) this.#drain(process, false);
    this.#settle();
  }

  /** Whoever gets hold of the keys can read what was resumed under them, and no more. */
  #reseal(): void {
    this.#ticketKeys = this.#options.freshTicketKeys();
    for (const process of this.#alive) process.seal(this.#ticketKeys);
  }

  #cancelRestarts(): void {
    for (const seat of this.#seats) if (seat.state === 'waiting') seat.timer.cancel();
  }

  #settle(): void {
    if (this.#stage !== 'running' && this.#alive.size === 0) this.#resolve(this.#stage === 'draining' ? 'drained' : 'ended');
  }

  /** Starts a process, and gives it the seat once it listens. Whoever had the seat drains from then on. */
  async #fill(slot: number, settings: S): Promise<unknown> {
    const process = new WorkerProcess<S>(this.#options.clock);
    this.#alive.add(process);
    void process.exited.then((exit) => this.#exited(process, exit));
    const facts = await process.open(settings, slot, this.#ticketKeys);
    // Told to drain while it started: it hears so again, and ends.
    if (this.#stage !== 'running') {
      this.#drain(process, false);
      return facts;
    }
    const before = this.#seats[slot];
    this.#seats[slot] = { state: 'serving', process, since: this.#options.clock.now() };
    if (before.state === 'serving') this.#drain(before.process, true);
    if (before.state === 'waiting') before.timer.cancel();
    return facts;
  }

  #drain(process: WorkerProcess<S>, replaced: boolean): void {
    const limitMs = this.#options.drainLimitMs(this.#settings);
    const timer = this.#options.clock.after(limitMs, () => {
      this.#options.say(`gateway process ${process.pid} did not drain within ${limitMs} ms and is ended`);
      process.kill();
    });
    void process.exited.then(() => timer.cancel());
    this.#drained.push(process);
    if (this.#drained.length > DRAINING) this.#drained.shift()?.kill();
    process.drain(replaced);
  }

  #exited(process: WorkerProcess<S>, exit: Exit): void {
    this.#alive.delete(process);
    const drained = this.#drained.indexOf(process);
    if (drained >= 0) this.#drained.splice(drained, 1);
    this.#settle();
    const slot = this.#seats.findIndex((seat) => seat.state === 'serving' && seat.process === process);
    const seat = this.#seats[slot];
    if (this.#stage !== 'running' || seat?.state !== 'serving') return;
    this.#options.say(`gateway process ${process.pid} ended (${exit.signal ?? `exit code ${exit.code}`}) and is replaced`);
    const proven = this.#options.clock.now() - seat.since >= PROVEN_MS;
    this.#restart(slot, proven ? 0 : 1);
  }

  /** The first after a proven one comes at once: nobody listens meanwhile where there is no other. */
  #restart(slot: number, failures: number): void {
    const { clock, random, say } = this.#options;
    const delayMs = failures === 0 ? 0 : backoffMs(BACKOFF, failures - 1, random);
    const timer = clock.after(delayMs, () => {
      this.#fill(slot, this.#settings).catch((error: unknown) => {
        if (!EvenkeelError.is(error)) throw error;
        if (this.#stage !== 'running') return;
        say(`a gateway process did not start: ${error.message}`);
        this.#restart(slot, failures + 1);
      });
    });
    this.#seats[slot] = { state: 'waiting', timer, failures };
  }

  /** One thing after the other. */
  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (const wanted of this.#wanted) {
      this.#wanted.delete(wanted);
      if (this.#stage !== 'running') break;
      if (wanted === 'reload') await this.#reload();
      else await this.#replace(this.#settings, 'as it was told to');
    }
    this.#working = false;
  }

  async #reload(): Promise<void> {
    const { read, renewals, say } = this.#options;
    let settings: S;
    try {
      settings = await read();
    } catch (error) {
      if (!EvenkeelError.is(error)) throw error;
      return say(`the configuration stays as it is: ${error.message}`);
    }
    const changed = renewals(this.#settings, settings);
    if (changed.length > 0) return await this.#replace(settings, `as ${changed.join(', ')} changed`);
    await this.#reloadInPlace(settings);
  }

  async #reloadInPlace(settings: S): Promise<void> {
    const { say } = this.#options;
    const done: WorkerProcess<S>[] = [];
    for (const seat of this.#seats) {
      if (seat.state !== 'serving') continue;
      const refused = await seat.process.reload(settings);
      if (refused === null) done.push(seat.process);
      if (refused === null || this.#stage !== 'running') continue;
      // All or none: what has taken it already goes back.
      for (const process of done) await process.reload(this.#settings);
      return say(`the configuration stays as it is: ${refused}`);
    }
    this.#settings = settings;
    say('the configuration was reloaded');
  }

  async #replace(settings: S, why: string): Promise<void> {
    const { say } = this.#options;
    say(`the gateway processes are replaced, ${why}`);
    for (let slot = 0; slot < this.#seats.length && this.#stage === 'running'; slot++) {
      try {
        await this.#fill(slot, settings);
        // From here on whoever dies is replaced by one with the new settings.
        this.#settings = settings;
      } catch (error) {
        if (!EvenkeelError.is(error)) throw error;
        if (this.#stage === 'running') say(`the gateway processes stay as they are: ${error.message}`);
        return;
      }
    }
  }
}
