// What operators do with a fleet, from any process that reaches its engine: look, ask nodes, and set what holds for all.
import type { Clock } from '../core/clock.ts';
import { EvenkeelError, type ErrorCode, errorCodes } from '../core/errors.ts';
import { imbalance } from '../core/fleet.ts';
import { FRESH_MS, type NodeRecord, type NodeState } from '../core/membership.ts';
import type { Engine, Inbox, Json } from '../engine/engine.ts';
import { LEASE, nodeInbox, SETTINGS_LEASE, readMessage, type Reply } from './messages.ts';
import { isPaused, readSettings, writeSettings, type FleetSettings } from './settings.ts';

const ANSWER_MS = 3_000;
/** A change reads and writes once each; whoever dies over it holds up the others for so long. */
const CHANGE_MS = 2_000;
/** Whoever waits for another's change asks this often. */
const CHANGE_PAUSE_MS = 50;

export interface OperatorPorts {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly fleet: string;
  /** A name that no other operator has: its inbox. */
  readonly name: string;
}

/** The answer of `fleet status`. */
export interface FleetStatus {
  readonly fleet: string;
  readonly imbalance: number;
  readonly rebalancing: string;
  /** Why it waits; null when it does not. */
  readonly reason: string | null;
  readonly coordinator: string | null;
  readonly nodes: readonly NodeStatus[];
}

export interface NodeStatus {
  readonly id: string;
  readonly address: string;
  /** `lapsed`: nothing was heard of it for 3 s, and it said no goodbye. */
  readonly state: NodeState | 'lapsed';
  readonly version: string;
  readonly startedAt: number;
  readonly connections: number;
  /** How much of the whole it should carry, relative to the others. */
  readonly capacity: number;
  /** null while nobody coordinates. */
  readonly target: number | null;
  readonly load: number;
  readonly strain: NodeRecord['strain'];
  readonly rotation: 'in' | 'out';
}

type Outlook = { readonly [key: string]: Json };

export class Operator {
  readonly #ports: OperatorPorts;
  readonly #waiting = new Map<string, (reply: Reply) => void>();
  /** A promise, because several requests may be the first one. */
  #inbox: Promise<Inbox> | null = null;
  #asked = 0;
  /** The last change that was begun here. */
  #changing: Promise<unknown> = Promise.resolve();

  constructor(ports: OperatorPorts) {
    this.#ports = ports;
  }

  async status(): Promise<FleetStatus> {
    const { engine, clock, fleet } = this.#ports;
    const [records, settings, coordinator] = await Promise.all([engine.listMembers(), readSettings(engine), engine.leaseHolder(LEASE)]);
    const alive = this.#alive(records);
    const askedAt = clock.now();
    const outlook = await this.#outlook(coordinator);
    const lapsed = outlook === null ? await this.#silent(alive, askedAt) : new Set(outlook['lapsed'] as readonly string[] | undefined);
    const targets = outlook === null ? {} : (outlook['targets'] as Record<string, number>);
    const paused = isPaused(settings, clock.wallTime());
    return {
      fleet,
      imbalance: outlook === null ? imbalance(alive.map(asFleetNode)) : (outlook['imbalance'] as number),
      rebalancing: paused ? settings.rebalancing.state : outlook === null ? 'nobody coordinates' : (outlook['rebalancing'] as string),
      reason: outlook === null ? null : (outlook['reason'] as string | null),
      coordinator,
      nodes: alive.map((record) => ({
        id: record.id,
        address: record.address,
        state: lapsed.has(record.id) ? 'lapsed' : record.state,
        version: record.version,
        startedAt: record.startedAt,
        connections: record.connections,
        capacity: record.capacity,
        target: targets[record.id] ?? null,
        load: record.load,
        strain: record.strain,
        rotation: record.rotation,
      })),
    };
  }

  /** The coordinator's plan as it stands, carried out or not; null while nobody coordinates. */
  async plan(): Promise<Outlook | null> {
    return this.#outlook(await this.#ports.engine.leaseHolder(LEASE));
  }

  /** Asks one node. Throws EVENKEEL_UNKNOWN_NODE when it is not in the fleet, EVENKEEL_NO_ANSWER when it is silent. */
  async ask(node: string, verb: string, args: { readonly [name: string]: Json } = {}): Promise<Json> {
    const { engine } = this.#ports;
    const alive = this.#alive(await engine.listMembers());
    if (!alive.some((record) => record.id === node)) {
      const known = alive.map((record) => record.id).join(', ') || 'none';
      throw new EvenkeelError('EVENKEEL_UNKNOWN_NODE', `node must be one of the fleet's (${known}), got ${node}`);
    }
    return this.#request(node, verb, args);
  }

  async nodes(): Promise<readonly NodeRecord[]> {
    return this.#alive(await this.#ports.engine.listMembers());
  }

  async settings(): Promise<FleetSettings> {
    return readSettings(this.#ports.engine);
  }

  /**
   * Changes some settings and leaves the others as they are; changes of several operators come one after the other. Throws
   * EVENKEEL_NO_ANSWER when others leave no room for it for 3 s.
   */
  change(change: Partial<FleetSettings>): Promise<FleetSettings> {
    // The lease tells operators apart, not the changes of one of them.
    const turn = this.#changing.then(() => this.#change(change));
    this.#changing = turn.catch(() => {});
    return turn;
  }

  /** Closes the operator's inbox; the engine stays its owner's. */
  async close(): Promise<void> {
    const inbox = await this.#inbox?.catch(() => null);
    await inbox?.close();
  }

  async #change(change: Partial<FleetSettings>): Promise<FleetSettings> {
    const { engine, clock, name } = this.#ports;
    const end = clock.now() + ANSWER_MS;
    try {
      for (;;) {
        const lease = await engine.acquireLease(SETTINGS_LEASE, name, CHANGE_MS);
        const settings = { ...(await readSettings(engine)), ...change };
        // The same fence as before the read: nobody has written since.
        const still = lease === null ? null : await engine.acquireLease(SETTINGS_LEASE, name, CHANGE_MS);
        if (lease !== null && still?.fence === lease.fence) {
          await writeSettings(engine, settings);
          return settings;
        }
        if (clock.now() >= end)
          throw new EvenkeelError('EVENKEEL_NO_ANSWER', `the settings must be free for a change within ${ANSWER_MS} ms, got changes of other operators`);
        await new Promise<void>((resolve) => void clock.after(CHANGE_PAUSE_MS, resolve));
      }
    } finally {
      await engine.releaseLease(SETTINGS_LEASE, name).catch((error: unknown) => {
        // It lapses by itself.
        if (!EvenkeelError.is(error)) throw error;
      });
    }
  }

  async #outlook(coordinator: string | null): Promise<Outlook | null> {
    if (coordinator === null) return null;
    try {
      return (await this.#request(coordinator, 'outlook', {})) as Outlook | null;
    } catch (error) {
      if (EvenkeelError.is(error) && error.code === 'EVENKEEL_NO_ANSWER') return null;
      throw error;
    }
  }

  /**
   * Without a coordinator nobody watches the records. When it was asked in vain, long enough has passed to see for ourselves
   * who has said nothing new since `askedAt`.
   */
  async #silent(records: readonly NodeRecord[], askedAt: number): Promise<ReadonlySet<string>> {
    const { engine, clock } = this.#ports;
    if (clock.now() - askedAt < FRESH_MS) return new Set();
    const said = new Set(records.map(({ incarnation, sequence }) => `${incarnation} ${sequence}`));
    const again = await engine.listMembers();
    return new Set(again.filter(({ incarnation, sequence }) => said.has(`${incarnation} ${sequence}`)).map(({ id }) => id));
  }

  /** Records that left are no nodes; one that lapsed shows until the engine drops it. */
  #alive(records: readonly NodeRecord[]): readonly NodeRecord[] {
    return records.filter((record) => record.state !== 'left').sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  async #request(node: string, verb: string, args: { readonly [name: string]: Json }): Promise<Json> {
    const { engine, clock, name } = this.#ports;
    const replyTo = `operator/${name}`;
    await this.#open(replyTo);
    const id = String(++this.#asked);
    const reply = await new Promise<Reply | null>((resolve) => {
      const timer = clock.after(ANSWER_MS, () => resolve(null));
      const settle = (got: Reply | null): void => {
        timer.cancel();
        resolve(got);
      };
      this.#waiting.set(id, settle);
      engine.send(nodeInbox(node), { kind: 'request', id, replyTo, verb, args }).catch(() => settle(null));
    });
    this.#waiting.delete(id);
    if (reply === null) throw new EvenkeelError('EVENKEEL_NO_ANSWER', `node ${node} must answer ${verb} within ${ANSWER_MS} ms, got nothing`);
    if (reply.error !== null) throw new EvenkeelError(knownCode(reply.code), reply.error);
    return reply.value;
  }

  /** Opens the inbox for replies, once; after a failure the next request tries again. */
  async #open(replyTo: string): Promise<void> {
    const inbox = (this.#inbox ??= this.#ports.engine.receive(replyTo, (message) => this.#hear(message)));
    try {
      await inbox;
    } catch (error) {
      if (this.#inbox === inbox) this.#inbox = null;
      throw error;
    }
  }

  #hear(input: Json): void {
    const message = readMessage(input);
    if (message?.kind === 'reply') this.#waiting.get(message.id)?.(message);
  }
}

const knownCode = (code: string | null): ErrorCode => (code !== null && Object.hasOwn(errorCodes, code) ? (code as ErrorCode) : 'EVENKEEL_NO_ANSWER');

function asFleetNode(record: NodeRecord): { id: string; address: string; amount: number; unmovable: number; weight: number; role: 'up' | 'draining' } {
  return {
    id: record.id,
    address: record.address,
    amount: record.connections,
    unmovable: 0,
    weight: record.capacity,
    role: record.state === 'up' ? 'up' : 'draining',
  };
}
