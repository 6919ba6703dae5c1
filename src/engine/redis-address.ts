// Reads the URL of a Redis server, or of the Sentinels that know which server it is, and says what is wrong with it without
// repeating a password.
import { bad } from './bounds.ts';

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** What holds for the server whichever it is. */
export interface RedisAccess {
  readonly tls: boolean;
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly database: number;
}

export type RedisAddress = RedisAccess &
  (
    | (Place & { readonly kind: 'server' })
    /** The server is the one that these name as the master called `master`. */
    | { readonly kind: 'sentinels'; readonly sentinels: readonly Place[]; readonly master: string }
  );

const SERVER_FORM = 'redis[s]://[[user][:password]@]host[:port][/database]';
const SENTINEL_FORM = 'redis[s]+sentinel://[[user][:password]@]host[:port][,host[:port]...]/master[/database]';

/** Scheme, user and password, places, path. */
const SENTINEL_URL = /^(rediss?)\+sentinel:\/\/(.*@)?([^/@]*)\/([^/]*)(\/[^/]*)?$/s;
const MASTER = /^[A-Za-z0-9._-]{1,128}$/;

/** Throws EVENKEEL_BAD_OPTION unless `url` is a URL of one of the two forms. */
export function readRedisUrl(url: string): RedisAddress {
  const refused = (rule: string): Error => bad('the URL of Redis', rule, withoutPassword(url));
  if (typeof url === 'string' && /^rediss?\+sentinel:/.test(url)) return readSentinelUrl(url, refused);
  return readServerUrl(url, refused);
}

type Refused = (rule: string) => Error;

function readServerUrl(url: string, refused: Refused, form = SERVER_FORM): RedisAccess & Place & { readonly kind: 'server' } {
  if (typeof url !== 'string' || !URL.canParse(url)) throw refused(`must be ${form}`);
  const parsed = new URL(url);
  const { protocol, hostname, port, pathname, search, hash } = parsed;
  if (protocol !== 'redis:' && protocol !== 'rediss:') throw refused("must begin with 'redis://', 'rediss://', 'redis+sentinel://' or 'rediss+sentinel://'");
  if (hostname === '') throw refused('must name a host');
  if (!/^(\/\d{0,5})?$/.test(pathname)) throw refused('must have a number, or nothing, as database');
  if (search !== '' || hash !== '') throw refused('must not have a query or a fragment');
  return {
    kind: 'server',
    // An IPv6 address stands in brackets in a URL, and without them everywhere else.
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    port: port === '' ? 6379 : Number(port),
    tls: protocol === 'rediss:',
    username: decoded(parsed.username, refused),
    password: decoded(parsed.password, refused),
    database: Number(pathname.slice(1)),
  };
}

/** No URL by the book, as it has several hosts: each of them is read in a URL of its own. */
function readSentinelUrl(url: string, refused: Refused): RedisAddress {
  if (/[?#]/.test(url)) throw refused('must not have a query or a fragment');
  const [, scheme, access = '', places = '', master = '', database = ''] = SENTINEL_URL.exec(url) ?? [];
  if (scheme === undefined) throw refused(`must be ${SENTINEL_FORM}`);
  if (!MASTER.test(master)) throw refused('must name a master of 1 to 128 of A-Z a-z 0-9 . _ -, after the sentinels');
  const read = places.split(',').map((place) => {
    if (place === '') throw refused('must name a host for each sentinel');
    const { host, port } = readServerUrl(`${scheme}://${place}`, refused, SENTINEL_FORM);
    return { host, port: /:\d+$/.test(place) ? port : 26_379 };
  });
  const { tls, username, password, database: number } = readServerUrl(`${scheme}://${access}host${database}`, refused, SENTINEL_FORM);
  return { kind: 'sentinels', sentinels: read, master, tls, username, password, database: number };
}

/** What may appear in logs and errors. */
export function describeAddress(address: RedisAddress): string {
  return address.kind === 'server' ? describePlace(address) : `${address.sentinels.map(describePlace).join(',')}/${address.master}`;
}

export const describePlace = ({ host, port }: Place): string => `${host}:${port}`;

function decoded(text: string, refused: Refused): string | undefined {
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
