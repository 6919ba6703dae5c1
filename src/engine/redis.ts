// The engine in Redis (or Valkey), for fleets on several machines, over the optional peer dependency `@redis/client` 6.
// Every connection is used until it breaks and then replaced by a new one; node-redis never reconnects by itself, because
// only this side knows what may be repeated. Any error that Redis answers counts as the server being no good.
import type { Clock, Timer } from '../core/clock.ts';
import { EvenkeelError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { NodeRecord } from '../core/membership.ts';
import type { Random } from '../core/random.ts';
import { realClock } from '../host/clock.ts';
import { realRandom } from '../host/random.ts';
import { logOf } from '../host/warnings.ts';
import { bad, tooMuch } from './bounds.ts';
import { type Engine, engineLimits, type Json } from './engine.ts';
import { JoinedEngine } from './joined.ts';
import { startPulse } from './pulse.ts';
import { describeAddress, type Place, readRedisUrl, type RedisAccess } from './redis-address.ts';
import { type Client, createClient, describe, type Listener } from './redis-client.ts';
import { Sentinels } from './redis-sentinel.ts';
import { readTailed, RedisStreams, tailChannel, whole } from './redis-streams.ts';
import { acquireLease, listMembers, OVER_LIMIT, probe, putMember, releaseLease, type Script, setValue } from './redis-scripts.ts';
import type { Call, Seat, SeatOwner } from './seat.ts';

export interface RedisOptions {
  /**
   * `redis[s]://[[user][:password]@]host[:port][/database]`. In a Redis Cluster: any of its nodes. With Sentinel:
   * `redis[s]+sentinel://[[user][:password]@]host[:port][,host[:port]...]/master[/database]`, the hosts being the sentinels.
   */
  readonly url: string;
  /** Fleets of different names do not see each other. */
  readonly fleet: string;
  /** What all keys and channels begin with. Default `evenkeel`. */
  readonly prefix?: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Log | null | undefined;
  /** Longest time that a call may last, ms. Default 2000. */
  readonly timeoutMs?: number;
}

const TAKE_MS = 2_500;
const CONNECT_MS = 2_000;
const PAUSE_MS = 2_000;
/** A server that answers no ping for 2 s is stopped, or the network is cut. Found after 2.5 s at the latest. */
const TICK_MS = 500;
const SILENT_TICKS = 4;

/**
 * Throws EVENKEEL_BAD_OPTION for a malformed URL or fleet, and when `@redis/client` is not installed; whether the server
 * can be reached is told by health and by the calls.
 */
export function redisEngine(options: RedisOptions): Engine {
  const { url, fleet, prefix = 'evenkeel', clock = realClock, random = realRandom, timeoutMs = 2_000 } = options;
  const log = logOf(options.log);
  const address = readRedisUrl(url);
  mustBeName('fleet', fleet);
  mustBeName('prefix', prefix);
  mustHaveClient();
  const ways: Ways = { access: address, start: address.kind === 'sentinels' ? new Sentinels(address, clock) : address, movedTo: null };
  const take = (owner: SeatOwner): Promise<Seat> => takeSeat({ ways, keys: `${prefix}:{${fleet}}:`, clock, log }, owner);
  const name = `Redis at ${describeAddress(address)}`;
  return new JoinedEngine({ kind: 'redis', name, clock, random, log, take, timeoutMs, takeMs: TAKE_MS, pauseMs: PAUSE_MS });
}

/** Braces would change the hash slot, and blanks would make keys hard to type. */
function mustBeName(thing: string, name: string): void {
  if (!/^[A-Za-z0-9._:-]{1,128}$/.test(name)) throw bad(thing, 'must be 1 to 128 of A-Z a-z 0-9 . _ : -', name);
}

function mustHaveClient(): void {
  try {
    import.meta.resolve('@redis/client');
  } catch (error) {
    throw new EvenkeelError(
      'EVENKEEL_BAD_OPTION',
      "the engine 'redis' needs the package @redis/client 6, which is not installed: npm install @redis/client@6",
      error,
    );
  }
}

/** Where to connect. In a Redis Cluster a node that does not own our slot tells which one does. */
interface Ways {
  readonly access: RedisAccess;
  readonly start: Place | Sentinels;
  movedTo: Place | null;
}

interface Surroundings {
  readonly ways: Ways;
  readonly keys: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** The surroundings of one seat: it is at one server. */
interface SeatSurroundings extends Surroundings {
  readonly place: Place;
}

async function takeSeat(around: Surroundings, owner: SeatOwner): Promise<Seat> {
  const { ways } = around;
  const { start, movedTo } = ways;
  const place = start instanceof Sentinels ? await start.find(owner.signal) : (movedTo ?? start);
  const make = (): Promise<Client> => createClient(ways.access, place, CONNECT_MS);
  const clients: Clients = { commands: await make(), messages: await make() };
  if (owner.signal.aborted) throw unreachable('the connection was closed');
  const seat = new RedisSeat(clients, { ...around, place }, owner);
  owner.signal.addEventListener('abort', () => seat.leave(), { once: true });
  try {
    await Promise.all([seat.connect(clients.commands), seat.connect(clients.messages)]);
    await seat.start();
    return seat;
  } catch (error) {
    seat.leave();
    // A node that was named to us may be gone: begin again with the one in the URL. A new redirection is kept.
    if (!(EvenkeelError.is(error) && isMoved(error.cause))) ways.movedTo = null;
    if (start instanceof Sentinels) start.doubt();
    throw EvenkeelError.is(error) ? error : unreachable(error);
  }
}

interface Clients {
  readonly commands: Client;
  /** Of its own: so a burst of messages does not delay answers, and RESP2 servers work too. */
  readonly messages: Client;
}

type SeatState = { readonly kind: 'connecting' } | { readonly kind: 'seated'; readonly pulse: Timer } | { readonly kind: 'left' };

class RedisSeat implements Seat {
  readonly #clients: Clients;
  readonly #around: SeatSurroundings;
  readonly #owner: SeatOwner;
  /** Inboxes that are open, or about to be. */
  readonly #opened = new Map<string, Promise<void>>();
  readonly #streams: RedisStreams;
  /** What the channels of tails begin with. */
  readonly #tailPrefix: string;
  readonly #told: Listener = (text, channel) => this.#tell(text, channel.slice(this.#tailPrefix.length));
  readonly #heard: Listener = (text, channel) => this.#deliver(channel.slice(this.#key('inbox:').length), text);
  #state: SeatState = { kind: 'connecting' };

  constructor(clients: Clients, around: SeatSurroundings, owner: SeatOwner) {
    this.#clients = clients;
    this.#around = around;
    this.#owner = owner;
    this.#streams = new RedisStreams((script, keys, args) => this.#run(script, keys, args), around.keys);
    this.#tailPrefix = this.#key(tailChannel(''));
    for (const client of [clients.commands, clients.messages]) {
      client.on('error', (error) => owner.lost(describe(error)));
      client.unref();
    }
  }

  async connect(client: Client): Promise<void> {
    await client.connect();
    // A client that was destroyed while it connected goes on connecting.
    if (this.#state.kind === 'left') client.destroy();
  }

  /** Checks that the server takes writes, and begins to watch it. */
  async start(): Promise<void> {
    await this.#run(probe, ['probe'], []);
    if (this.#state.kind === 'left') throw unreachable('the connection was closed');
    const { commands, messages } = this.#clients;
    const pulse = startPulse({
      clock: this.#around.clock,
      tickMs: TICK_MS,
      silentTicks: SILENT_TICKS,
      ping: () => Promise.all([commands.ping(), messages.ping()]),
      lost: () => this.#owner.lost('the server does not answer'),
    });
    this.#state = { kind: 'seated', pulse };
  }

  leave(): void {
    if (this.#state.kind === 'seated') this.#state.pulse.cancel();
    this.#state = { kind: 'left' };
    this.#clients.commands.destroy();
    this.#clients.messages.destroy();
  }

  async call(call: Call): Promise<Json> {
    switch (call.do) {
      case 'put':
        return this.#put(call.record, call.ttlMs);
      case 'list':
        return this.#readRecords(await this.#run(listMembers, ['members', 'expiries'], []));
      case 'acquire': {
        const fence = await this.#run(acquireLease, [`lease:${call.name}`, `fence:${call.name}`], [call.holder, whole(call.ttlMs)]);
        return typeof fence === 'number' ? fence : null;
      }
      case 'release':
        await this.#run(releaseLease, [`lease:${call.name}`], [call.holder]);
        return null;
      case 'holder':
        return textOr(await this.#send(['GET', this.#key(`lease:${call.name}`)]));
      case 'send':
        await this.#send(['PUBLISH', this.#key(`inbox:${call.to}`), JSON.stringify(call.message)]);
        return null;
      case 'open':
        return this.#open(call.inbox);
      case 'shut':
        return this.#shut(call.inbox);
      case 'get':
        return parsed(textOr(await this.#send(['HGET', this.#key('state'), call.key]))) ?? null;
      case 'set':
        return this.#set(call.key, call.value);
      case 'ping':
        await this.#send(['PING']);
        return null;
      case 'tail':
        return this.#listened(this.#clients.messages.subscribe(this.#tailChannels(call.streams), this.#told));
      case 'untail':
        return this.#listened(this.#clients.messages.unsubscribe(this.#tailChannels(call.streams), this.#told));
      default:
        // What streams answer is JSON too.
        return (await this.#streams.call(call)) as Json;
    }
  }

  async #put(record: NodeRecord, ttlMs: number): Promise<null> {
    const { id, incarnation, sequence, startedAt } = record;
    const args = [id, JSON.stringify(record), incarnation, String(sequence), String(startedAt), whole(ttlMs), String(engineLimits.members)];
    const answer = await this.#run(putMember, ['members', 'expiries'], args);
    if (answer === OVER_LIMIT) throw tooMuch('the fleet', `at most ${engineLimits.members} members`, 'one more');
    return null;
  }

  async #set(key: string, value: Json): Promise<null> {
    if (value === null) {
      await this.#send(['HDEL', this.#key('state'), key]);
      return null;
    }
    const answer = await this.#run(setValue, ['state'], [key, JSON.stringify(value), String(engineLimits.keys)]);
    if (answer === OVER_LIMIT) throw tooMuch('the keyed state', `at most ${engineLimits.keys} keys`, 'one more');
    return null;
  }

  async #open(inbox: string): Promise<null> {
    let opening = this.#opened.get(inbox);
    if (opening === undefined) {
      opening = this.#clients.messages.subscribe(this.#key(`inbox:${inbox}`), this.#heard);
      this.#opened.set(inbox, opening);
    }
    return this.#listened(opening);
  }

  async #shut(inbox: string): Promise<null> {
    if (!this.#opened.delete(inbox)) return null;
    return this.#listened(this.#clients.messages.unsubscribe(this.#key(`inbox:${inbox}`), this.#heard));
  }

  async #listened(done: Promise<void>): Promise<null> {
    await done.catch((error: unknown) => Promise.reject(unreachable(error)));
    return null;
  }

  #tailChannels(streams: readonly string[]): string[] {
    return streams.map((stream) => this.#tailPrefix + stream);
  }

  #tell(text: string, stream: string): void {
    const entry = readTailed(text);
    if (entry === null) this.#around.log.warn({ stream }, 'what is no entry was published on a tail, and dropped');
    else this.#owner.entry(stream, entry);
  }

  #deliver(inbox: string, text: string): void {
    // Any client of this Redis can publish here. No text has fewer bytes than UTF-16 units.
    const message = text.length > engineLimits.messageBytes ? undefined : parsed(text);
    if (message === undefined) this.#around.log.warn({ inbox }, 'a message that is no JSON, or too long, was dropped');
    else this.#owner.deliver(inbox, message);
  }

  #readRecords(answer: unknown): Json {
    const texts = Array.isArray(answer) ? answer : [];
    return texts.map((text) => parsed(textOr(text)) ?? null);
  }

  async #run(script: Script, keys: readonly string[], args: readonly string[]): Promise<unknown> {
    const rest = [String(keys.length), ...keys.map((key) => this.#key(key)), ...args];
    try {
      return await this.#clients.commands.sendCommand(['EVALSHA', script.sha1, ...rest]);
    } catch (error) {
      // The server was started anew, or has never seen this version of the script.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw this.#refused(error);
      return this.#send(['EVAL', script.lua, ...rest]);
    }
  }

  async #send(args: readonly string[]): Promise<unknown> {
    try {
      return await this.#clients.commands.sendCommand(args);
    } catch (error) {
      throw this.#refused(error);
    }
  }

  #refused(error: unknown): EvenkeelError {
    if (isMoved(error)) {
      const [, host = '', port = ''] = MOVED.exec(error.message) ?? [];
      // An empty host means the one that was asked.
      this.#around.ways.movedTo = { host: host === '' ? this.#around.place.host : host, port: Number(port) };
    }
    return unreachable(error);
  }

  #key(name: string): string {
    return this.#around.keys + name;
  }
}

const MOVED = /^MOVED \d+ (.*):(\d+)$/;

function isMoved(error: unknown): error is Error {
  return error instanceof Error && MOVED.test(error.message);
}

function unreachable(error: unknown): EvenkeelError {
  return new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', describe(error), error);
}

const textOr = (answer: unknown): string | null => (typeof answer === 'string' ? answer : null);

function parsed(text: string | null): Json | undefined {
  if (text === null) return undefined;
  try {
    return JSON.parse(text) as Json;
  } catch {
    // Somebody else wrote it; the caller treats it as absent.
    return undefined;
  }
}
