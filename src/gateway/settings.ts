// The configuration of a gateway with nothing left open: what `config/` makes of YAML or flags, and what everything else of
// the gateway reads. Times are ms, sizes are bytes, addresses are `{host, port}`.
import type { NodeOptions } from '../node/options.ts';

export interface Address {
  /** Name or IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface GatewaySettings {
  /** The gateway as a node of a fleet; `engine`: as in the library, null: alone, nothing is shared. */
  readonly node: NodeOptions;
  readonly engine: string | null;
  readonly admin: AdminSettings | null;
  readonly listeners: readonly ListenerSettings[];
  readonly groups: ReadonlyMap<string, GroupSettings>;
  /** The first that matches is taken. */
  readonly routes: readonly RouteSettings[];
  readonly limits: GuardSettings;
  readonly timeouts: Timeouts;
  readonly dns: DnsSettings | null;
}

export interface AdminSettings {
  readonly listen: Address;
  readonly token: string | null;
}

export interface ListenerSettings {
  readonly listen: Address;
  /** `http`: HTTP/1.1, HTTP/2 and WebSocket; `tcp`: bytes. */
  readonly protocol: 'http' | 'tcp';
  /** The group of a `tcp` listener; null for `http`, where routes say it. */
  readonly group: string | null;
  readonly tls: TlsSettings | null;
  /** Every connection must begin with a PROXY header (v1 or v2); without one it is refused. */
  readonly proxyProtocol: boolean;
  /** Networks (CIDR) whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. */
  readonly trustedHops: readonly string[];
}

export interface TlsSettings {
  /** For clients that name no known host. */
  readonly certificate: Certificate;
  /** By server name (SNI); `*.example.org` matches one label. */
  readonly byName: ReadonlyMap<string, Certificate>;
}

/** PEM texts, read from their files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export type Algorithm = 'round-robin' | 'least-connections' | 'random' | 'two-choices' | 'hash';

/** What a consistent hash goes by. `user`: what the authentication hook named, else the address. */
export type HashKey = { readonly by: 'address' } | { readonly by: 'user' } | { readonly by: 'header' | 'cookie' | 'query'; readonly name: string };

export interface GroupSettings {
  readonly name: string;
  readonly discovery: readonly DiscoverySettings[];
  readonly balance: Algorithm;
  readonly hashKey: HashKey;
  /** No upstream gets more than this times the mean (`hash`); 1.25 as HAProxy's documentation suggests. */
  readonly boundedLoad: number;
  readonly sticky: StickySettings | null;
  readonly health: HealthSettings | null;
  readonly ejection: EjectionSettings;
  readonly breaker: BreakerSettings | null;
  /** Most requests and connections at a time for one upstream; null: no limit. */
  readonly maxActive: number | null;
  /** A fresh upstream gets its full weight after this. */
  readonly slowStartMs: number;
  /** TLS towards the upstreams; null: none. */
  readonly tls: UpstreamTlsSettings | null;
  /** Send a PROXY header to upstreams; null: none. */
  readonly sendProxy: 'v1' | 'v2' | null;
  /** Requests go to the upstreams over HTTP/2 (by ALPN with TLS, else with prior knowledge); WebSockets do not. */
  readonly http2: boolean;
  readonly keepAlive: KeepAliveSettings;
  readonly websocket: WebSocketSettings;
  /** What is answered when nothing can take a request; null: 503. */
  readonly fallback: { readonly status: number; readonly contentType: string; readonly body: string } | null;
  /** Other tries when an upstream could not be reached or refused; what one may have begun is sent again where that is safe, to one more at most. */
  readonly retries: number;
}

export type DiscoverySettings =
  | { readonly kind: 'list'; readonly upstreams: readonly UpstreamSettings[] }
  /** A file with one `host:port [weight=N] [name=X]` a line, or a YAML list; watched. */
  | { readonly kind: 'file'; readonly path: string }
  /** A/AAAA records of `host`, asked again every `refreshMs`. `server`: of this resolver, else the system's. */
  | { readonly kind: 'dns'; readonly host: string; readonly port: number; readonly refreshMs: number; readonly server: Address | null }
  | { readonly kind: 'srv'; readonly name: string; readonly refreshMs: number; readonly server: Address | null }
  | {
      readonly kind: 'kubernetes';
      /** Base URL of the API server; null: from the pod's environment and service account. */
      readonly api: string | null;
      readonly namespace: string;
      readonly service: string;
      /** Name or number of the port of the slice; null: its first. */
      readonly port: string | number | null;
    }
  /** The nodes of a fleet, by the addresses that they say of themselves. */
  | { readonly kind: 'fleet'; readonly engine: string; readonly fleet: string };

export interface UpstreamSettings {
  readonly address: Address;
  /** `host:port` unless told otherwise; unique in its group. */
  readonly name: string;
  /** 0: takes nothing new. */
  readonly weight: number;
}

/** A cookie names the upstream of a client; while that one takes anything, it is taken. */
export interface StickySettings {
  readonly cookie: string;
  readonly maxAgeS: number | null;
  /** Above this times the mean of the group, clients are spread anew; null: they stay. */
  readonly boundedLoad: number | null;
}

export interface HealthSettings {
  /** null: a TCP connection is enough. */
  readonly path: string | null;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** So many good answers in a row make it healthy, so many bad ones unhealthy. */
  readonly rise: number;
  readonly fall: number;
}

/** Passive: after `failures` in a row an upstream is left out for `baseMs` x times it was, at most half of the group at once. */
export interface EjectionSettings {
  readonly failures: number;
  readonly baseMs: number;
  readonly maxFraction: number;
}

export interface BreakerSettings {
  readonly windowMs: number;
  readonly minRequests: number;
  /** Of failed requests in the window. */
  readonly failureFraction: number;
  readonly openMs: number;
}

export interface UpstreamTlsSettings {
  /** PEM text; null: the system's. */
  readonly ca: string | null;
  readonly serverName: string | null;
  readonly verify: boolean;
}

export interface KeepAliveSettings {
  /** Idle connections kept per upstream; 0: a fresh connection per request. */
  readonly max: number;
  readonly idleMs: number;
}

export interface WebSocketSettings {
  /** The client side stays when its upstream dies or drains. */
  readonly failover: boolean;
  /** First messages of the client that the next upstream gets again. */
  readonly replay: number;
  /** Close codes of an upstream that count as its death; 1006 stands for a connection that just ended. */
  readonly abnormalCodes: readonly number[];
  /** Bytes of client messages kept while there is no upstream. */
  readonly holdBytes: number;
  /** How long there may be none before the client is closed with 1012. */
  readonly reattachMs: number;
  /** Open ones move to upstreams that have fewer than their share; needs `failover`. */
  readonly respread: boolean;
}

export interface RouteSettings {
  /** Exact name or `*.example.org`; null: any. Compared without the port, in lower case. */
  readonly host: string | null;
  /** Begins with this, at a path segment's end; null: any. */
  readonly path: string | null;
  /** All of these headers have these values. */
  readonly headers: ReadonlyMap<string, string>;
  readonly target: RouteTarget;
  /** Among what waits or is shed first: higher is kept longer. */
  readonly priority: number;
  readonly auth: AuthSettings | null;
  /** Origins that a WebSocket handshake may name; null: any. */
  readonly origins: readonly string[] | null;
}

export type RouteTarget =
  /** Weighted, so that a canary gets its part. */
  | { readonly kind: 'groups'; readonly groups: readonly { readonly group: string; readonly weight: number }[] }
  /** 307 to the upstream that was chosen; a `move` to it for a WebSocket client of ours. */
  | { readonly kind: 'redirect'; readonly group: string; readonly scheme: 'http' | 'https' }
  /** Answers `{url, token, expiresAt}`. `scheme`: of the url; `secret`: signs the token, null: there is none; `validMs`: how long it is good. */
  | {
      readonly kind: 'assign';
      readonly group: string;
      readonly scheme: 'ws' | 'wss' | 'http' | 'https';
      readonly secret: string | null;
      readonly validMs: number;
    }
  /** The gateway ends WebSockets and sessions itself and calls an application over HTTP. */
  | { readonly kind: 'tier'; readonly tier: TierSettings };

export interface AuthSettings {
  /** Asked with the request's method, path, Authorization and Cookie headers; 2xx lets it in, 401 and 403 are passed on. */
  readonly url: string;
  readonly timeoutMs: number;
  /** Response header that names the user; null: none. */
  readonly userHeader: string | null;
}

export interface TierSettings {
  /** Where the application is told what happens. */
  readonly url: string;
  /** Where the application publishes. */
  readonly listen: Address;
  /** Signs the calls both ways (HMAC-SHA256). */
  readonly secret: string;
  readonly timeoutMs: number;
  /** Calls at a time; beyond, connections wait. */
  readonly maxCalls: number;
  readonly messageBytes: number;
}

export interface GuardSettings {
  /** Client connections at a time. */
  readonly connections: number;
  /** null: no limit per address. */
  readonly perAddress: number | null;
  readonly perAddressPerS: number | null;
  readonly headBytes: number;
  readonly headers: number;
  /** null: no limit. */
  readonly bodyBytes: number | null;
}

/** Named after nginx and HAProxy; defaults in `config/`. */
export interface Timeouts {
  /** A PROXY header, a TLS handshake. */
  readonly handshakeMs: number;
  /** From the first byte of a request's head to its end (nginx client_header_timeout, HAProxy timeout http-request). */
  readonly clientHeadMs: number;
  /** Between two reads of a request's body (nginx client_body_timeout). */
  readonly clientBodyMs: number;
  /** Bytes of a request's body per second, beyond a grace (Kestrel MinRequestBodyDataRate, Apache RequestReadTimeout); 0: any. */
  readonly clientBodyRate: number;
  /** Between two requests of a connection (nginx keepalive_timeout). */
  readonly clientIdleMs: number;
  /** Between two successful writes to a client that has something waiting (nginx send_timeout). */
  readonly clientSendMs: number;
  /** HAProxy timeout connect; with HTTP/2 to the SETTINGS of the upstream. */
  readonly connectMs: number;
  /** Between two reads from an upstream that owes an answer (nginx proxy_read_timeout, HAProxy timeout server). */
  readonly upstreamReadMs: number;
  /** A TCP or WebSocket tunnel on which nothing moves either way (HAProxy timeout tunnel); 0: never. */
  readonly tunnelMs: number;
}

export interface DnsSettings {
  readonly listen: Address;
  /** The zone that is answered for, without the last dot. */
  readonly zone: string;
  /** Name within the zone (`@`: the zone itself) to the group whose upstreams are told. */
  readonly names: ReadonlyMap<string, string>;
  readonly ttlS: number;
  /** Most addresses in an answer. */
  readonly answers: number;
}
