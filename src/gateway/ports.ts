// What the parts of the gateway know of each other: who a client is, where a request may go, and what carries it. The proxies
// work against these ports, so that each can be tried on its own.
import type { Socket } from 'node:net';
import type { Clock } from '../core/clock.ts';
import type { Listen } from '../core/event.ts';
import type { Log } from '../core/log.ts';
import type { Random } from '../core/random.ts';
import type { Connection } from '../connections/connection.ts';
import type { TransportPorts } from '../connections/ports.ts';
import type { Address, DiscoverySettings, GroupSettings, GuardSettings, RouteSettings, Timeouts, UpstreamSettings } from './settings.ts';

/** Who is at the other end of a client connection: as the PROXY header says, else the socket. */
export interface ClientFacts {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The client speaks TLS to us (or to the hop that said so). */
  readonly secure: boolean;
  readonly serverName: string | null;
  /** Its own peer is a hop whose X-Forwarded headers are believed. */
  readonly trusted: boolean;
}

/** How something that an upstream carried ended. `aborted`: by the client, which says nothing of the upstream. */
export type Outcome = 'ok' | 'failed' | 'aborted';

export interface Upstream {
  readonly name: string;
  readonly group: string;
  /** Of its group; the last ones where a reload took the group out: what is still asked of it goes there as it always did. */
  readonly settings: GroupSettings;
  readonly address: Address;
  /** Requests, tunnels and WebSockets that it carries now. */
  readonly active: number;
  /** Takes no more; what it carries should go elsewhere. */
  readonly draining: boolean;
  /** Something new is carried. Each `begin` is followed by one `end`. */
  begin(): void;
  /**
   * The answer's head is there, or the connection stands: for what may end long after (tunnels, streams), so that it is known
   * at once that the upstream answers. What was told here is not told again: `end` then gets null.
   */
  answered(latencyMs: number): void;
  /** `latencyMs`: to the answer's head, or to the connection; null where there was none, or `answered` told it. */
  end(outcome: Outcome, latencyMs: number | null): void;
}

export interface Ask {
  /** What a consistent hash goes by; null where the group does not hash. */
  readonly key: string | null;
  /** The upstream that a sticky cookie named; null: none. */
  readonly sticky: string | null;
  /** Tried already. */
  readonly without: ReadonlySet<Upstream> | null;
}

/** Why nobody can take it: nobody is healthy, all breakers are open, all are full. */
export interface Refused {
  readonly refused: 'down' | 'open' | 'full';
  readonly retryAfterS: number;
}

/** Upstreams that serve the same. */
export interface Group {
  readonly settings: GroupSettings;
  readonly upstreams: readonly Upstream[];
  choose(ask: Ask): Upstream | Refused;
  /** How full it is: the part of `maxActive` in use, over all that take something new; 0 without a limit, 1 when nobody takes any. */
  readonly pressure: number;
  /** An upstream died (`down`), is drained, or was removed: whoever holds on to it lets go. */
  readonly onGone: Listen<{ readonly upstream: Upstream; readonly why: 'down' | 'draining' | 'removed' }>;
}

/**
 * What an upstream is up to: `checking`: new, before its first check. `down`: by checks. `ejected`, `open`, `half-open`: left out
 * because of failures, by ejection or by the breaker. `warming`: on its way to its full weight. `disabled`: takes nothing new.
 */
export type UpstreamState = 'up' | 'warming' | 'checking' | 'down' | 'ejected' | 'open' | 'half-open' | 'disabled' | 'draining';

/** One upstream as operators and metrics see it. */
export interface UpstreamStatus {
  readonly name: string;
  readonly address: Address;
  readonly state: UpstreamState;
  /** As told by an operator, else by discovery; slow start is not in it. */
  readonly weight: number;
  readonly active: number;
  /** Totals since it is known. `failed` and `aborted` of what has ended. */
  readonly begun: number;
  readonly ok: number;
  readonly failed: number;
  readonly aborted: number;
  /** Smoothed, null before the first answer. */
  readonly latencyMs: number | null;
  /** Who named it: a kind of discovery, or an operator. */
  readonly source: DiscoverySettings['kind'] | 'operator';
}

/** A group with its verbs for operators. What they said holds until they say otherwise, also over reloads and new discoveries. */
export interface GroupHandle extends Group {
  list(): readonly UpstreamStatus[];
  /** Throws EVENKEEL_BAD_OPTION where the name is taken. One that was removed before comes back by its name. */
  add(upstream: UpstreamSettings): void;
  /** It is gone for good, also when a discovery goes on naming it. The verbs by name throw EVENKEEL_UNKNOWN_UPSTREAM. */
  remove(name: string): void;
  /** Takes nothing new, and who holds on to it lets go. */
  drain(name: string): void;
  /** Takes nothing new; what it carries stays. */
  disable(name: string): void;
  enable(name: string): void;
  /** 0: takes nothing new; null: as discovery says. */
  weigh(name: string, weight: number | null): void;
  /** A reload: what is carried, and the health of whoever stays, stay. */
  update(settings: GroupSettings): void;
  /** Ends checks and discovery; nobody is chosen any more. What is carried is left to those who carry it. */
  close(): void;
}

export const isRefused = (choice: Upstream | Refused): choice is Refused => 'refused' in choice;

/** What a route is chosen by, and what a group's hash key is read from. */
export interface RequestFacts {
  readonly method: string;
  /** With the query. */
  readonly target: string;
  /** Lower case, without the port; empty where the client named none. */
  readonly host: string;
  /** The value of a header, by its name in lower case; the values of a repeated one are joined, as HTTP has it. */
  header(name: string): string | undefined;
}

export interface Route {
  readonly settings: RouteSettings;
  /** The group for this request; null where the target is none (`tier`). */
  readonly group: Group | null;
}

export interface Router {
  /** null: no route matches. `client`: a split between groups that hash goes by its address where nothing else is known. */
  route(request: RequestFacts, client?: ClientFacts): Route | null;
  /** What to ask a group for, given the request: its hash key, its sticky cookie. `user`: named by the authentication hook. */
  ask(group: Group, request: RequestFacts, client: ClientFacts, user: string | null): Ask;
  group(name: string): Group | null;
  /** Of the routes that lead to the group, each once. */
  priorities(group: Group): readonly number[];
}

/** Opens connections to upstreams: TCP, TLS where the group says so, the PROXY header first. */
export interface Dialer {
  /**
   * The socket is connecting; `ready` is called once bytes may flow, `failed` once if that never comes (then it is destroyed).
   * One that its caller destroys meanwhile calls neither. Its errors are the caller's from `ready` on.
   */
  dial(upstream: Upstream, client: ClientFacts | null, answer: DialAnswer, wishes?: DialWishes): Socket;
}

export interface DialAnswer {
  readonly ready: () => void;
  readonly failed: (error: Error) => void;
}

export interface DialWishes {
  /** What is asked for by ALPN where there is TLS. */
  readonly protocol?: 'h2';
  /**
   * Given what comes, in memory that is lent for the time of the call: reading costs a third less. Not called where that cannot be
   * had (TLS, HTTP/2); there the socket has its `data` as ever.
   */
  readonly lent?: (bytes: Buffer) => void;
}

/** Counts for metrics and the admin API; plain numbers, added up where it happens. */
export interface Tally {
  requests: number;
  /** Answered by the gateway itself with an error, by status. */
  readonly refused: Map<number, number>;
  retries: number;
  tunnels: number;
  websockets: number;
  reattached: number;
  reattachFailed: number;
  redirects: number;
  assignments: number;
}

export const freshTally = (): Tally => ({
  requests: 0,
  refused: new Map(),
  retries: 0,
  tunnels: 0,
  websockets: 0,
  reattached: 0,
  reattachFailed: 0,
  redirects: 0,
  assignments: 0,
});

/** The gateway answers with an error, or would, to a client that knows statuses. */
export function countRefused({ refused }: Tally, status: number): void {
  refused.set(status, (refused.get(status) ?? 0) + 1);
}

/** What every proxy of the gateway is given. */
export interface ProxyPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Connections of clients are counted, told to go and tabled like those of any node. */
  readonly transport: TransportPorts;
  /** Read anew for each request: a reload replaces what is behind it. */
  readonly router: Router;
  readonly dialer: Dialer;
  readonly timeouts: Timeouts;
  readonly limits: GuardSettings;
  readonly tally: Tally;
}

/** A request whose head said `Upgrade: websocket`, with its connection, for whoever relays from here on. */
export interface Upgrade {
  readonly socket: Socket;
  readonly client: ClientFacts;
  readonly connection: Connection;
  readonly request: RequestFacts;
  readonly route: Route;
  readonly user: string | null;
  /** The request's head as it is to be sent upstream: hop-by-hop headers put right, X-Forwarded-* added, ends with an empty line. */
  readonly head: Buffer;
  /** What the client sent after its head. */
  readonly rest: Buffer;
}

/** Takes over a socket that left HTTP. */
export interface Upgrader {
  upgrade(upgrade: Upgrade): void;
}

/**
 * Takes client sockets of one protocol, after the PROXY header and TLS. `head`: bytes that were read already. The socket may
 * flow: whoever does not listen to 'data' before `accept` returns pauses it, and resumes it later. Its other side may end
 * first (`allowHalfOpen`), and errors are the acceptor's from now on.
 */
export interface Acceptor {
  accept(socket: Socket, client: ClientFacts, head: Buffer | null): void;
}
