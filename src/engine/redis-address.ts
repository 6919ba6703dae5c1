// Reads the URL of a Redis server, and says what is wrong with it without repeating a password.
import { bad } from './bounds.ts';

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

/** Throws EVENKEEL_BAD_OPTION unless `url` is `redis[s]://[[user][:password]@]host[:port][/database]`. */
export function readRedisUrl(url: string): RedisAddress {
  const refused = (rule: string): Error => bad('the URL of Redis', rule, withoutPassword(url));
  if (typeof url !== 'string' || !URL.canParse(url)) throw refused('must be redis[s]://[[user][:password]@]host[:port][/database]');
  const parsed = new URL(url);
  const { protocol, hostname, port, pathname, search, hash } = parsed;
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw refused("must begin with 'redis://' or 'rediss://'");
  if (hostname === '') throw refused('must name a host');
  if (!/^(\/\d{0,5})?$/.test(pathname)) throw refused('must have a number, or nothing, as database');
  if (search !== '' || hash !== '') throw refused('must not have a query or a fragment');
  return {
    // An IPv6 address stands in brackets in a URL, and without them everywhere else.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 6379 : Number(port),
    tls: protocol === 'rediss:',
    username: decoded(parsed.username, refused),
    password: decoded(parsed.password, refused),
    database: Number(pathname.slice(1)),
  };
}

/** What may appear in logs and errors. */
export const describeAddress = (address: { readonly host: string; readonly port: number }): string => `${address.host}:${address.port}`;

function decoded(text: string, refused: (rule: string) => Error): string | undefined {
  if (text === '') return undefined;
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused('must have user and password percent-encoded');
  }
}

function withoutPassword(url: unknown): string {
  return String(url).replace(/\/\/.*@/s, '//***@');
}
