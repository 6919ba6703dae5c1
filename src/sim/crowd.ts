// The clients, as typed arrays: no object per client, so that ten million fit. Where each one is, what it waits for, how often
// it was moved, and the timing wheel that wakes those who wait.
import { Links } from '../core/choose.ts';
import type { Random } from '../core/random.ts';
import type { Scenario } from './scenario.ts';

/** What a client is doing. */
export const Doing = {
  /** Connected to `node`. */
  connected: 0,
  /** Without a connection, until the wheel or its heartbeat wakes it. */
  waiting: 1,
  /** In the handshake queue of a node, without a connection. */
  queued: 2,
  /** In the handshake queue of another node while the old connection lives (make before break). */
  moving: 3,
} as const;

/** The wheel turns in steps of a tenth of a second. */
export const STEP_MS = 100;
const WHEEL = 8192;
const NIL = -1;
export const NOWHERE = -1;

export class Crowd {
  readonly count: number;
  readonly links: Links;
  readonly doing: Uint8Array;
  /** How many clients are doing what, by the numbers of `Doing`; and how many had a failed attempt since they lost their connection. */
  readonly tally: Int32Array = new Int32Array(4);
  failing = 0;
  /** Index of the node it is connected to, or NOWHERE. */
  readonly node: Int16Array;
  /** Index of the node it was told to go to, or NOWHERE. */
  readonly target: Int16Array;
  readonly attempt: Uint8Array;
  readonly moves: Uint8Array;
  /** 1 when its last connection was ended by an order: the next landing may be a bounce. */
  readonly moved: Uint8Array;
  /** 1 when it was refused and comes back at the slot it was given. */
  readonly invited: Uint8Array;
  readonly load: Float32Array;
  /** Step in which it is due on the wheel, or since when it waits in a queue (step). */
  readonly at: Int32Array;
  readonly #wheel = new Int32Array(WHEEL).fill(NIL);
  readonly #wheelNext: Int32Array;
  /** HTTP: clients ordered by the phase of their heartbeat, and where each step's part begins. */
  readonly #beats: Int32Array;
  readonly #beatStarts: Int32Array;
  readonly #beatSteps: number;

  constructor(scenario: Scenario, random: Random) {
    const { count, load, protocol, heartbeatS } = scenario.clients;
    this.count = count;
    this.links = new Links(Math.max(1, count));
    this.doing = new Uint8Array(count).fill(Doing.waiting);
    this.tally[Doing.waiting] = count;
    this.node = new Int16Array(count).fill(NOWHERE);
    this.target = new Int16Array(count).fill(NOWHERE);
    this.attempt = new Uint8Array(count);
    this.moves = new Uint8Array(count);
    this.moved = new Uint8Array(count);
    this.invited = new Uint8Array(count);
    this.at = new Int32Array(count);
    this.#wheelNext = new Int32Array(count).fill(NIL);
    this.load = new Float32Array(count).fill(1);
    if (load.distribution === 'pareto') dealPareto(this.load, scenario, random);
    this.#beatSteps = protocol === 'http' ? Math.max(1, Math.round((heartbeatS * 1000) / STEP_MS)) : 0;
    this.#beats = new Int32Array(protocol === 'http' ? count : 0);
    this.#beatStarts = new Int32Array(this.#beatSteps + 1);
    if (protocol === 'http') this.#dealBeats(random);
  }

  set(client: number, doing: number): void {
    this.tally[this.doing[client]]--;
    this.tally[doing]++;
    this.doing[client] = doing;
  }

  failed(client: number): void {
    if (this.attempt[client] === 0) this.failing++;
    if (this.attempt[client] < 255) this.attempt[client]++;
  }

  forgive(client: number): void {
    if (this.attempt[client] > 0) this.failing--;
    this.attempt[client] = 0;
  }

  /** Wakes `client` in `delayMs`; at the earliest in the next step. */
  sleep(client: number, step: number, delayMs: number): void {
    const due = step + Math.max(1, Math.ceil(delayMs / STEP_MS));
    this.set(client, Doing.waiting);
    this.at[client] = due;
    const slot = Math.min(due, step + WHEEL - 1) % WHEEL;
    this.#wheelNext[client] = this.#wheel[slot];
    this.#wheel[slot] = client;
  }

  /** Hands those who are due in `step` to `wake`. */
  turn(step: number, wake: (client: number) => void): void {
    const slot = step % WHEEL;
    let client = this.#wheel[slot];
    this.#wheel[slot] = NIL;
    while (client !== NIL) {
      const next = this.#wheelNext[client];
      this.#wheelNext[client] = NIL;
      if (this.doing[client] === Doing.waiting) {
        if (this.at[client] <= step) wake(client);
        // Longer than one turn of the wheel: wait on.
        else this.sleep(client, step, (this.at[client] - step) * STEP_MS);
      }
      client = next;
    }
  }

  /** HTTP: hands those whose heartbeat falls in `step` to `beat`. */
  beat(step: number, beat: (client: number) => void): void {
    if (this.#beatSteps === 0) return;
    const phase = step % this.#beatSteps;
    for (let i = this.#beatStarts[phase]; i < this.#beatStarts[phase + 1]; i++) beat(this.#beats[i]);
  }

  /** Deals every client a phase, and orders the clients by it (counting sort). */
  #dealBeats(random: Random): void {
    const phases = new Int32Array(this.count);
    for (let i = 0; i < this.count; i++) {
      phases[i] = Math.floor(random.next() * this.#beatSteps);
      this.#beatStarts[phases[i] + 1]++;
    }
    for (let phase = 0; phase < this.#beatSteps; phase++) this.#beatStarts[phase + 1] += this.#beatStarts[phase];
    const place = this.#beatStarts.slice(0, this.#beatSteps);
    for (let i = 0; i < this.count; i++) this.#beats[place[phases[i]]++] = i;
  }
}

/** Pareto loads with mean 1, none heavier than `maxShare` of a node's target. */
function dealPareto(loads: Float32Array, scenario: Scenario, random: Random): void {
  const { alpha, maxShare } = scenario.clients.load;
  const scale = (alpha - 1) / alpha;
  const heaviest = (maxShare * loads.length) / scenario.nodes.length;
  for (let i = 0; i < loads.length; i++) loads[i] = Math.min(heaviest, scale / (1 - random.next()) ** (1 / alpha));
}
