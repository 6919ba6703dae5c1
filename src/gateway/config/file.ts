// A configuration as its author writes it, with defaults filled in where the schema has them. `build.ts` makes the settings of it.
import type { NodeOptions } from '../../node/options.ts';
import type { Algorithm } from '../settings.ts';

export interface GatewayFile {
  readonly node?: Omit<NodeOptions, 'load'> | undefined;
  readonly engine?: string | undefined;
  readonly admin?: string | number | AdminFile | undefined;
  readonly listeners: readonly (string | number | ListenerFile)[];
  readonly groups: { readonly [name: string]: GroupFile };
  readonly routes?: readonly RouteFile[] | undefined;
  readonly limits: {
    readonly connections: number;
    readonly perAddress: number | null;
    readonly perAddressPerS: number | null;
    readonly headBytes: number;
    readonly headers: number;
    readonly bodyBytes: number | null;
  };
  readonly timeouts: {
    readonly handshakeMs: number;
    readonly clientHeadMs: number;
    readonly clientBodyMs: number;
    readonly clientBodyRate: number;
    readonly clientIdleMs: number;
    readonly clientSendMs: number;
    readonly connectMs: number;
    readonly upstreamReadMs: number;
    readonly tunnelMs: number;
  };
  readonly dns?: DnsFile | undefined;
}

/** The text itself, or the file that holds it. */
export type SecretFile = string | { readonly file: string };

export interface AdminFile {
  readonly listen: string | number;
  readonly token?: SecretFile | undefined;
}

export interface ListenerFile {
  readonly listen: string | number;
  readonly protocol: 'http' | 'tcp';
  readonly group?: string | undefined;
  readonly tls?: TlsFile | undefined;
  readonly proxyProtocol: boolean;
  readonly trustedHops: readonly string[];
}

export interface CertificateFile {
  readonly cert: string;
  readonly key: string;
}

export interface TlsFile extends CertificateFile {
  readonly byName?: { readonly [name: string]: CertificateFile } | undefined;
}

export interface UpstreamFile {
  readonly address: string;
  readonly name?: string | undefined;
  readonly weight: number;
}

export interface GroupFile {
  readonly upstreams: readonly (string | UpstreamFile)[];
  readonly file?: string | undefined;
  readonly dns?: string | { readonly host: string; readonly port: number; readonly refreshMs: number; readonly server?: string | undefined } | undefined;
  readonly srv?: string | { readonly name: string; readonly refreshMs: number; readonly server?: string | undefined } | undefined;
  readonly kubernetes?:
    | {
        readonly service: string;
        readonly namespace: string;
        readonly port?: string | number | undefined;
        readonly api?: string | undefined;
      }
    | undefined;
  readonly fleet?: { readonly engine: string; readonly fleet: string } | undefined;
  readonly balance: Algorithm;
  readonly hashKey?: 'address' | 'user' | HashKeyFile | undefined;
  readonly boundedLoad: number;
  readonly sticky?: string | { readonly cookie: string; readonly maxAgeS: number | null; readonly boundedLoad: number | null } | undefined;
  readonly health?: string | HealthFile | undefined;
  readonly ejection: { readonly failures: number; readonly baseMs: number; readonly maxFraction: number };
  readonly breaker: boolean | { readonly windowMs: number; readonly minRequests: number; readonly failureFraction: number; readonly openMs: number };
  readonly maxActive: number | null;
  readonly slowStartMs: number;
  readonly tls: boolean | UpstreamTlsFile;
  readonly sendProxy?: 'v1' | 'v2' | undefined;
  readonly http2: boolean;
  readonly keepAlive: { readonly max: number; readonly idleMs: number };
  readonly websocket: {
    readonly failover: boolean;
    readonly replay: number;
    readonly abnormalCodes: readonly number[];
    readonly holdBytes: number;
    readonly reattachMs: number;
    readonly respread: boolean;
  };
  readonly fallback?: { readonly status: number; readonly contentType: string; readonly body: string } | undefined;
  readonly retries: number;
}

export interface HashKeyFile {
  readonly header?: string | undefined;
  readonly cookie?: string | undefined;
  readonly query?: string | undefined;
}

export interface HealthFile {
  readonly path?: string | undefined;
  readonly intervalMs: number;
  readonly timeoutMs?: number | undefined;
  readonly rise: number;
  readonly fall: number;
}

export interface UpstreamTlsFile {
  readonly ca?: string | undefined;
  readonly serverName?: string | undefined;
  readonly verify: boolean;
}

export interface RouteFile {
  readonly host?: string | undefined;
  readonly path?: string | undefined;
  readonly headers: { readonly [name: string]: string };
  readonly group?: string | undefined;
  readonly groups?: { readonly [group: string]: number } | undefined;
  readonly redirect?: string | { readonly group: string; readonly scheme: 'http' | 'https' } | undefined;
  readonly assign?: string | AssignFile | undefined;
  readonly tier?: TierFile | undefined;
  readonly priority: number;
  readonly auth?: string | { readonly url: string; readonly timeoutMs: number; readonly userHeader?: string | undefined } | undefined;
  readonly origins?: readonly string[] | undefined;
}

export interface AssignFile {
  readonly group: string;
  readonly scheme: 'ws' | 'wss' | 'http' | 'https';
  readonly secret?: SecretFile | undefined;
  readonly validMs: number;
}

export interface TierFile {
  readonly url: string;
  readonly listen: string | number;
  readonly secret: SecretFile;
  readonly timeoutMs: number;
  readonly maxCalls: number;
  readonly messageBytes: number;
}

export interface DnsFile {
  readonly listen: string | number;
  readonly zone: string;
  readonly names: { readonly [name: string]: string };
  readonly ttlS: number;
  readonly answers: number;
}
