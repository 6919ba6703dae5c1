// Runs one world of sessions from its beginning to its end, and says what was broken. All code between the application's call on
// a client and the engine's memory is that of production; time, dice and network are virtual.
import { VirtualClock } from '../../core/clock.ts';
import { below, seeded, type Random } from '../../core/random.ts';
import type { ClientSettings } from '../../client/options.ts';
import { isClean, Judge } from '../../judge/judge.ts';
import { isPresenceClean, PresenceJudge } from '../../judge/presence-judge.ts';
import type { PageEvent } from '../../host/browser.ts';
import { EVERYBODY, INBOX, type Codec } from '../../protocol/frames.ts';
import { jsonCodec } from '../../protocol/json.ts';
import { protoCodec } from '../../protocol/proto.ts';
import { streamOf } from '../../server/hub/hub.ts';
import { SharedEngine } from './engine.ts';
import { addressOf, ANYBODY, Fleet, forbiddenTo, topicOf, userOf } from './fleet.ts';
import { PresenceWitness } from './presence-witness.ts';
import { Process } from './process.ts';
import { Notes, Witness } from './witness.ts';
import { ALL, LONG_MS, times, type Fault, type World } from './world.ts';

export interface Violation {
  readonly invariant: string;
  readonly seen: string;
}

/** Streams as numbers: topics from 0, the stream to everybody, the inboxes by user. */
const TO_EVERYBODY = 50;
const inboxOf = (client: number): number => 100 + (client >> 1);
/** Publications of nodes: each is its own publisher, since nothing is promised of their order among each other. */
const FIRST_PUBLICATION = 10_000;

/** So often everybody asks who is there. */
const ASK_MS = 1_500;

interface Person {
  readonly process: Process;
  readonly witness: Witness;
  page: ((event: PageEvent) => void) | null;
}

/** The first broken invariant; null: all held. */
export async function runWorld(world: World): Promise<Violation | null> {
  const run = new Run(world);
  try {
    return await run.toItsEnd();
  } catch (error) {
    return { invariant: 'nothing throws', seen: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

class Run {
  readonly #world: World;
  readonly #clock = new VirtualClock();
  readonly #judge: Judge;
  readonly #notes: Notes;
  readonly #engine: SharedEngine;
  readonly #fleet: Fleet;
  readonly #people: Person[];
  readonly #random: Random;
  readonly #codec: Codec;
  /** One for each topic. */
  readonly #presence: readonly PresenceJudge[];
  #alarm: string | null = null;
  #publications = 0;

  constructor(world: World) {
    const { seed } = world;
    this.#world = world;
    this.#judge = new Judge(forgets(world) ? 'not all' : 'all');
    this.#notes = new Notes(this.#judge);
    this.#presence = Array.from({ length: world.topics }, () => new PresenceJudge(forgets(world) ? 'not all' : 'all'));
    this.#random = seeded(seed ^ 0x5eed);
    this.#codec = world.codec === 'json' ? jsonCodec : protoCodec;
    this.#engine = new SharedEngine(this.#clock, seeded(seed ^ 0xe1));
    const alarm = (what: string): void => void (this.#alarm ??= what);
    this.#fleet = new Fleet({ world, clock: this.#clock, random: seeded(seed ^ 0xf1ee7), engine: this.#engine, codec: this.#codec, alarm });
    this.#people = Array.from({ length: world.clients }, (_, client) => this.#arrive(client));
  }

  async toItsEnd(): Promise<Violation | null> {
    const { faults, topics } = this.#world;
    for (const { witness } of this.#people) for (let topic = 0; topic < topics; topic++) witness.follow(topic, 0);
    if (this.#world.watching) this.#watchPresence();
    for (const fault of faults) this.#clock.after(fault.atMs, () => this.#happen(fault));
    this.#clock.after(times.beginMs, () => this.#turn());
    await this.#clock.advanceAsync(times.disturbedMs);
    this.#engine.faults.failing = null;
    this.#engine.faults.dropping = null;
    await this.#clock.advanceAsync(times.calmMs);
    const violation = this.#judged() ?? (await this.#presenceIsRight());
    for (const { witness } of this.#people) witness.close();
    return violation;
  }

  #arrive(client: number): Person {
    const process = new Process(this.#clock);
    const { balanced, nodes, seed } = this.#world;
    const person: { page: ((event: PageEvent) => void) | null } = { page: null };
    const settings: ClientSettings = {
      url: balanced ? ANYBODY : Array.from({ length: nodes }, (_, node) => addressOf(node)),
      token: userOf(client),
      codec: this.#codec,
      outboxMessages: 10_000,
      outboxBytes: 1e9,
      giveUpAfterMs: Infinity,
      backoff: { baseMs: 500, capMs: 10_000 },
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      links: (url, _, events) => this.#fleet.dial({ client, process }, url, events),
      clock: process,
      random: seeded(seed ^ (client * 7919)),
      instance: `instance-${client}`,
      page: (page) => {
        person.page = page;
        return { stop() {} };
      },
    };
    const mayPublish = (stream: number): boolean => !this.#world.refusing || topicOf(stream) !== forbiddenTo(userOf(client));
    const names = { topicOf, inbox: inboxOf(client), everybody: TO_EVERYBODY };
    const witness = new Witness({ name: client, settings, notes: this.#notes, mayPublish, ...names });
    return Object.assign(person, { process, witness });
  }

  #watchPresence(): void {
    for (const { process, witness } of this.#people) {
      const { client, name } = witness;
      const followers = this.#presence.map((judge, topic) => new PresenceWitness({ client, topic: topicOf(topic), name, hear: (event) => judge.hear(event) }));
      this.#clock.every(ASK_MS, () => process.run(() => followers.forEach((follower) => witness.isDone || void follower.ask())));
    }
  }

  /** Somebody does something, until it is time to be quiet. */
  #turn(): void {
    const { clock, world, random, person } = { clock: this.#clock, world: this.#world, random: this.#random, person: this.#somebody() };
    if (clock.now() > times.disturbedMs) return;
    clock.after((2_000 / world.turnsPerS) * random.next(), () => this.#turn());
    const dice = random.next();
    const { process, witness } = person;
    const topic = below(random, world.topics);
    if (dice < 0.7) process.run(() => witness.publish(topic));
    else if (dice < 0.8) process.run(() => witness.request());
    else if (dice < 0.9) this.#say(topic, topicOf(topic), null);
    else if (dice < 0.95) this.#say(TO_EVERYBODY, EVERYBODY, null);
    else this.#say(inboxOf(0), INBOX, userOf(0));
  }

  #somebody(): Person {
    return this.#people[below(this.#random, this.#people.length)];
  }

  /** The application publishes on some node. */
  #say(stream: number, topic: string, user: string | null): void {
    const life = this.#fleet.anyUp();
    if (life === null) return;
    const publisher = FIRST_PUBLICATION + ++this.#publications;
    life.process.run(() => {
      this.#judge.send(stream, publisher, 1);
      const settle = (outcome: 'acknowledged' | 'undecided') => () => this.#judge.settle(stream, publisher, { number: 1, outcome });
      life.sessions.hub
        .publish(streamOf(topic, user), { json: JSON.stringify({ p: publisher, s: stream, n: 1 }) })
        .then(settle('acknowledged'), settle('undecided'));
    });
  }

  #happen(fault: Fault): void {
    const later = (ms: number, task: () => void): void => void this.#clock.after(ms, task);
    switch (fault.kind) {
      case 'break':
        return this.#fleet.connections({ client: fault.client }).forEach((connection) => connection.break(fault));
      case 'stand-node':
        return this.#fleet.connections({ node: fault.node }).forEach((connection) => connection.stand(fault.forMs));
      case 'stand-client':
        return this.#fleet.connections({ client: fault.client }).forEach((connection) => connection.stand(fault.forMs));
      case 'slow-reader':
        return this.#fleet.connections({ client: fault.client }).forEach((connection) => connection.readSlowly(fault.forMs));
      case 'pause-node':
      case 'pause-client': {
        const process = fault.kind === 'pause-node' ? this.#fleet.life(fault.node)?.process : this.#people[fault.client].process;
        process?.pause();
        return later(fault.forMs, () => process?.wake());
      }
      case 'crash':
        this.#fleet.crash(fault.node, fault.silent);
        return later(fault.restartMs, () => this.#fleet.start(fault.node));
      case 'drain':
        this.#fleet.drain(fault.node, fault.directed ? (fault.node + 1) % this.#world.nodes : null);
        // It takes some time to be empty; who was killed meanwhile is back sooner.
        return later(13_000 + fault.restartMs, () => this.#fleet.start(fault.node));
      case 'move':
        return this.#fleet.move(fault.client, fault.id, fault.address);
      case 'full':
        this.#fleet.fill(fault.node, true);
        return later(fault.forMs, () => this.#fleet.fill(fault.node, false));
      default:
        return this.#happenElsewhere(fault, later);
    }
  }

  /** Faults of the engine, and what people do. */
  #happenElsewhere(fault: Fault, later: (ms: number, task: () => void) => void): void {
    const { faults } = this.#engine;
    switch (fault.kind) {
      case 'offline': {
        const { process, page } = this.#people[fault.client];
        process.run(() => page?.('offline'));
        return later(fault.forMs, () => process.run(() => page?.('awake')));
      }
      case 'leave': {
        const { process, witness } = this.#people[fault.client];
        // Somebody has to be there all the time: what nobody saw has no place.
        if (fault.client === 0) return;
        process.run(() => witness.leave(fault.topic));
        return later(fault.forMs, () => process.run(() => witness.follow(fault.topic, this.#world.history)));
      }
      case 'close': {
        const { process, witness } = this.#people[fault.client];
        return fault.client === 0 ? undefined : process.run(() => witness.close());
      }
      case 'fail-calls':
        faults.failing = fault;
        if (fault.node === null && fault.part === 1) this.#engine.tell(false);
        return later(fault.forMs, () => {
          faults.failing = null;
          this.#engine.tell(true);
        });
      case 'stand-engine':
        faults.stoodUntil = this.#clock.now() + fault.forMs;
        return;
      case 'drop-entries':
        faults.dropping = fault;
        return later(fault.forMs, () => void (faults.dropping = null));
      case 'forget':
        return this.#engine.forget();
    }
  }

  #judged(): Violation | null {
    if (this.#alarm !== null) return { invariant: 'no node logs an error', seen: this.#alarm };
    for (const { witness } of this.#people) {
      const { state } = witness.client;
      if (witness.complaint !== null) return { invariant: 'clients get what they asked for', seen: witness.complaint };
      const name = `client ${witness.name}`;
      if (witness.isDone) continue;
      if (state.kind !== 'open') return { invariant: 'in the end every client is open', seen: `${name} is ${JSON.stringify(state)}` };
      if (witness.waiting > 0) return { invariant: 'every promise ends', seen: `${name} waits for ${witness.waiting}` };
      for (const { topic, state } of witness.subscriptions.values())
        if (state.kind !== 'live') return { invariant: 'in the end every subscription is live', seen: `${topic} of ${name} is ${state.kind}` };
      if (isLong(this.#world) && witness.undecided > 0)
        return { invariant: 'nothing is undecided while sessions live', seen: `${name}: ${witness.undecided} messages` };
      if (keepsAll(this.#world) && witness.gaps > 0) return { invariant: 'no gap while streams keep everything', seen: `${name}: ${witness.gaps} gaps` };
    }
    return this.#told() ?? this.#history();
  }

  /** Joins and leaves. */
  #told(): Violation | null {
    for (const [topic, judge] of this.#presence.entries()) {
      const verdict = judge.verdict();
      if (!isPresenceClean(verdict)) return { invariant: 'joins and leaves lead from list to list', seen: `${topicOf(topic)}: ${verdict.firstFault}` };
    }
    return null;
  }

  #history(): Violation | null {
    const verdict = this.#judge.verdict();
    if (isClean(verdict)) return null;
    const { lost, duplicated, outOfOrder, silentGaps, foreign, firstFault } = verdict;
    const counts = Object.entries({ lost, duplicated, outOfOrder, silentGaps, foreign }).filter(([, count]) => count > 0);
    return { invariant: `histories are as promised: ${counts.map(([name]) => name).join(', ')}`, seen: firstFault ?? '' };
  }

  /** Everybody who follows a topic is seen on it, and nobody else. */
  async #presenceIsRight(): Promise<Violation | null> {
    const asker = this.#people[0].witness;
    for (let topic = 0; topic < this.#world.topics; topic++) {
      const names: string[] = [];
      asker.client.presence(topicOf(topic)).then(
        (members) => names.push(...members.map(({ user }) => user ?? '')),
        () => {},
      );
      await this.#clock.advanceAsync(5_000);
      const expected = this.#people.filter(({ witness }) => witness.subscriptions.has(topic)).map(({ witness }) => userOf(witness.name));
      const seen = `${topicOf(topic)}: ${names.sort().join(' ')}, not ${expected.sort().join(' ')}`;
      if (names.join() !== expected.join()) return { invariant: 'in the end presence is right', seen };
    }
    return null;
  }
}

const forgets = ({ faults }: World): boolean => faults.some(({ kind }) => kind === 'forget');
const isLong = (world: World): boolean => world.resumeMs >= LONG_MS && !forgets(world);
const keepsAll = (world: World): boolean => world.historyCount >= ALL && !forgets(world);
