// The demo with a page: people kill, start and drain servers, and see what the fleet does about it.
import { Event, rethrow, type Listen } from '../../core/event.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { onInterrupt } from '../interrupt.ts';
import { Demo, type DemoPorts } from './demo.ts';
import type { DemoOptions } from './options.ts';
import { openPage, type PageActions } from './page.ts';
import type { Slot } from './slot.ts';
import { History, Rate, type Happening, type ServerFacts, type Snapshot } from './snapshot.ts';

export interface LiveOptions {
  readonly port: number;
  /** Writes a line to the terminal. */
  readonly say: (line: string) => void;
}

/** Runs until Ctrl-C, and ends everything that it started. */
export async function runLive(options: DemoOptions, ports: DemoPorts, live: LiveOptions): Promise<void> {
  using interrupt = onInterrupt();
  // The page first: when its port is taken nothing was started.
  await using page = await openPage(live.port);
  live.say(`starting ${options.servers} servers and ${options.clients} ${options.protocol} clients ...`);
  await using demo = await Demo.start(options, ports);
  const failed = new Promise<never>((_, reject) => void demo.onFailure((error: EvenkeelError) => reject(error)));
  demo.startClients();
  const show = new Show(demo);
  page.show(show);
  live.say(welcome(options, live.port));
  const telling = tellTerminal(show, live.say);
  try {
    await Promise.race([interrupt.happened, failed]);
    live.say('ending the servers, the balancer and the clients');
  } finally {
    telling.stop();
    show.stop();
  }
}

function welcome(options: DemoOptions, port: number): string {
  return [
    '',
    `  http://127.0.0.1:${port}`,
    '',
    `  ${options.servers} server processes, a layer-4 balancer and ${options.clients} clients run on this machine. Open the page and`,
    '  kill four servers: one carries everybody. Start them again: a balancer alone would leave them empty,',
    '  this fleet evens itself out, without one failed request. Switch rebalancing off to see the difference.',
    '  Ctrl-C ends everything.',
    '',
  ].join('\n');
}

const SNAPSHOT_MS = 500;
/** What happened and nobody has been shown yet; nobody reads more than this at once. */
const MOST_EVENTS = 200;

/** What the page shows and does. */
export class Show implements PageActions {
  readonly #demo: Demo;
  readonly #startedAt: number;
  readonly #history = new History();
  readonly #snapshots = new Event<Snapshot>(rethrow);
  readonly onSnapshot: Listen<Snapshot> = this.#snapshots.on;
  readonly #moves = new Rate();
  readonly #requests = new Rate();
  readonly #timer: { cancel(): void };
  #events: Happening[] = [];
  /** What the last snapshot said, to tell what changed. */
  #before: Snapshot | null = null;

  constructor(demo: Demo) {
    this.#demo = demo;
    this.#startedAt = demo.clock.now();
    for (const slot of demo.slots.values()) slot.onEnd((how) => this.#happened(`${slot.id} ${how}`));
    this.#happened(`${demo.options.servers} servers are up, ${demo.options.clients} clients connect`);
    this.#take();
    this.#timer = demo.clock.every(SNAPSHOT_MS, () => this.#take());
  }

  get history(): readonly Snapshot[] {
    return this.#history.snapshots;
  }

  stop(): void {
    this.#timer.cancel();
  }

  has(id: string): boolean {
    return this.#demo.slots.has(id);
  }

  /** Throws EVENKEEL_LIMIT when that is not possible now. */
  command(id: string, verb: 'kill' | 'start' | 'drain'): void {
    const slot = this.#slot(id);
    if (verb === 'drain') {
      slot.drain();
      this.#happened(`${id} drains (SIGTERM)`);
    } else if (verb === 'kill') {
      void slot.kill();
    } else {
      const started = slot.start();
      this.#happened(`${id} starts`);
      started.catch((error: unknown) => {
        if (!EvenkeelError.is(error)) throw error;
        this.#happened(error.message);
      });
    }
  }

  async setRebalancing(on: boolean): Promise<void> {
    await this.#demo.setRebalancing(on ? 'on' : 'off');
    this.#happened(`rebalancing is switched ${on ? 'on' : 'off'}`);
  }

  #slot(id: string): Slot {
    const slot = this.#demo.slots.get(id);
    if (slot === undefined) throw new EvenkeelError('EVENKEEL_UNKNOWN_NODE', `server must be one of ${[...this.#demo.slots.keys()].join(', ')}, got ${id}`);
    return slot;
  }

  #happened(text: string): void {
    this.#events.push({ t: this.#t(), text });
    if (this.#events.length > MOST_EVENTS) this.#events.shift();
  }

  #t(): number {
    return Math.round(this.#demo.clock.now() - this.#startedAt) / 1000;
  }

  #take(): void {
    const facts = this.#facts();
    for (const text of changes(this.#before, facts)) this.#happened(text);
    const snapshot = { ...facts, events: this.#events };
    this.#events = [];
    this.#before = snapshot;
    this.#history.add(snapshot);
    this.#snapshots.emit(snapshot);
  }

  #facts(): Snapshot {
    const demo = this.#demo;
    const t = this.#t();
    const { moves: counts, rebalancing, coordinator, plan } = demo.fleet;
    const { connected, requests, failedRequests } = demo.account;
    return {
      t,
      protocol: demo.options.protocol,
      clients: demo.options.clients,
      connected,
      servers: [...demo.slots.values()].map((slot) => this.#server(slot)),
      imbalance: demo.imbalance,
      movesPerS: round(this.#moves.perS(t, counts.moves)),
      moves: counts.moves,
      bounces: counts.bounces,
      requestsPerS: round(this.#requests.perS(t, requests)),
      requests,
      failedRequests,
      rebalancing,
      coordinator,
      plan,
      events: [],
    };
  }

  #server(slot: Slot): ServerFacts {
    const { id, state, pid } = slot;
    const runs = state === 'up' || state === 'draining';
    return {
      id,
      state,
      pid,
      connections: this.#demo.connectionsOf(id),
      target: runs ? (this.#demo.fleet.targets[id] ?? null) : null,
      rotation: !runs ? 'down' : this.#demo.passes(id) ? 'in' : 'out',
    };
  }
}

/** What people want to be told when it changes. */
function changes(before: Snapshot | null, now: Snapshot): string[] {
  if (before === null) return [];
  const texts: string[] = [];
  for (const [i, server] of now.servers.entries()) {
    if (server.state === 'up' && before.servers[i].state === 'starting') texts.push(`${server.id} is up`);
  }
  if (now.coordinator !== null && now.coordinator !== before.coordinator) texts.push(`${now.coordinator} coordinates`);
  if (now.plan?.state === 'moving' && before.plan?.state !== 'moving') texts.push('a plan begins: connections move');
  if (now.plan?.state === 'idle' && before.plan?.state === 'moving') texts.push('the plan is over: the fleet is even');
  return texts;
}

const round = (value: number): number => Math.round(value * 10) / 10;

/** A line whenever what it says has changed, at most one per second, and one per event. */
function tellTerminal(show: Show, say: (line: string) => void): { stop(): void } {
  let told = '';
  let toldAt = -Infinity;
  return show.onSnapshot((snapshot) => {
    for (const { text } of snapshot.events) say(`        ${text}`);
    const perServer = snapshot.servers.map(({ id, state, connections }) => `${id} ${state === 'down' ? 'down' : connections}`).join('  ');
    const line = `${perServer}  imbalance ${snapshot.imbalance?.toFixed(2) ?? '-'}  moves ${snapshot.moves}  failed ${snapshot.failedRequests}`;
    if (line === told || snapshot.t - toldAt < 0.9) return;
    told = line;
    toldAt = snapshot.t;
    say(`${snapshot.t.toFixed(0).padStart(6)} s  ${line}`);
  });
}
