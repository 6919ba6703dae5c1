// Reads a PROXY header (v1 or v2) at the start of a connection: strict, bounded, and by whatever pieces it comes in. What it
// says is believed as it stands, so a listener that takes it must be reachable by the balancer in front only.
import { isIPv4, isIPv6 } from 'node:net';
import { crc32c } from './crc32c.ts';
import { ipText, plainAddress } from './ip.ts';

/** Who the connection is from, as the hop in front says. */
export interface ProxiedClient {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** The client spoke TLS to that hop, and named this server. */
  readonly secure: boolean;
  readonly serverName: string | null;
}

export type ProxyHeader =
  /** Right so far; more bytes are needed. */
  | { readonly state: 'partial' }
  | { readonly state: 'wrong'; readonly why: string }
  /** `client` is null where the hop speaks for itself (LOCAL) or does not know (UNKNOWN): then the socket tells. */
  | { readonly state: 'read'; readonly bytes: number; readonly client: ProxiedClient | null };

/** Longest header of version 1 with its line end, as the specification has it. */
const V1_BYTES = 107;

/** Addresses take at most 216 bytes; the rest is room for a certificate's name and whatever else a hop adds. */
const V2_BYTES = 4_096;

const V2_HEAD = 16;

const SIGNATURE: Buffer = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const V1_START: Buffer = Buffer.from('PROXY ', 'latin1');

const partial: ProxyHeader = { state: 'partial' };
const wrong = (why: string): ProxyHeader => ({ state: 'wrong', why });

export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (startsLike(bytes, SIGNATURE)) return bytes.length < V2_HEAD ? partial : readV2(bytes);
  if (startsLike(bytes, V1_START)) return readV1(bytes);
  return wrong('a connection must begin with a PROXY header, this one does not');
}

function startsLike(bytes: Buffer, start: Buffer): boolean {
  const length = Math.min(bytes.length, start.length);
  return start.compare(bytes, 0, length, 0, length) === 0;
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_BYTES).indexOf('\r\n');
  if (end < 0) return bytes.length < V1_BYTES ? partial : wrong(`a PROXY header of version 1 must end within ${V1_BYTES} bytes`);
  const [, kind, ...words] = bytes.toString('latin1', 0, end).split(' ');
  const length = end + 2;
  // What follows UNKNOWN must be ignored.
  if (kind === 'UNKNOWN') return { state: 'read', bytes: length, client: null };
  const isAddress = kind === 'TCP4' ? isIPv4 : kind === 'TCP6' ? isIPv6 : null;
  if (isAddress === null) return wrong('a PROXY header of version 1 must name TCP4, TCP6 or UNKNOWN');
  const [address, localAddress, port, localPort] = words;
  if (words.length !== 4 || !isAddress(address) || !isAddress(localAddress) || !isPort(port) || !isPort(localPort))
    return wrong(`a PROXY header of version 1 must name two addresses and two ports after ${kind}`);
  const ends = { address: plainAddress(address), port: Number(port), localAddress: plainAddress(localAddress), localPort: Number(localPort) };
  return { state: 'read', bytes: length, client: { ...ends, secure: false, serverName: null } };
}

const isPort = (text: string): boolean => /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;

const LOCAL = 0;
const PROXY = 1;

/** By family, how many bytes the addresses and ports take: IPv4, IPv6, UNIX. */
const ADDRESS_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 12],
  [2, 36],
  [3, 216],
]);

function readV2(bytes: Buffer): ProxyHeader {
  const version = bytes[12] >> 4;
  const command = bytes[12] & 0xf;
  const family = bytes[13] >> 4;
  const transport = bytes[13] & 0xf;
  const end = V2_HEAD + bytes.readUInt16BE(14);
  if (version !== 2 || command > PROXY) return wrong(`a PROXY header of version 2 must say LOCAL or PROXY, got ${bytes[12]}`);
  if (family > 3 || transport > 2) return wrong(`a PROXY header of version 2 must be of a family that is known, got ${bytes[13]}`);
  if (end > V2_BYTES) return wrong(`a PROXY header of version 2 must have at most ${V2_BYTES} bytes, got ${end}`);
  if (bytes.length < end) return partial;
  const header = bytes.subarray(0, end);
  const addressBytes = ADDRESS_BYTES.get(family) ?? 0;
  // LOCAL, UDP, UNIX and UNSPEC say nothing of a TCP client: whatever addresses they carry are skipped.
  const says = command !== LOCAL && transport === 1 && family !== 0 && family !== 3;
  if (command === PROXY && end - V2_HEAD < addressBytes) return wrong(`a PROXY header of version 2 must hold its addresses (${addressBytes} bytes)`);
  const extras = readExtras(header, Math.min(end, V2_HEAD + addressBytes));
  // Of a connection of the hop itself nothing counts, its extras neither.
  if (typeof extras === 'string') return command === LOCAL ? { state: 'read', bytes: end, client: null } : wrong(extras);
  return { state: 'read', bytes: end, client: says ? { ...readAddresses(header, addressBytes), ...extras } : null };
}

function readAddresses(header: Buffer, addressBytes: number): Omit<ProxiedClient, 'secure' | 'serverName'> {
  const one = (addressBytes - 4) / 2;
  const ports = V2_HEAD + 2 * one;
  return {
    address: ipText(header.subarray(V2_HEAD, V2_HEAD + one)),
    localAddress: ipText(header.subarray(V2_HEAD + one, ports)),
    port: header.readUInt16BE(ports),
    localPort: header.readUInt16BE(ports + 2),
  };
}

const AUTHORITY = 0x02;
const CHECKSUM = 0x03;
const TLS = 0x20;

/** Longest name that DNS has. */
const NAME_BYTES = 255;

/** What comes after the addresses; a text says what is wrong with it. Kinds that are not known are skipped. */
function readExtras(header: Buffer, start: number): Pick<ProxiedClient, 'secure' | 'serverName'> | string {
  let secure = false;
  let serverName: string | null = null;
  for (let at = start; at < header.length;) {
    const from = at + 3;
    const to = at + 3 <= header.length ? from + header.readUInt16BE(at + 1) : Infinity;
    if (to > header.length) return 'a PROXY header of version 2 must hold all that its fields announce';
    const kind = header[at];
    if (kind === AUTHORITY && to - from <= NAME_BYTES) serverName = header.toString('latin1', from, to);
    if (kind === TLS && to > from) secure = (header[from] & 1) === 1;
    if (kind === CHECKSUM && !isSum(header, from, to)) return 'the checksum of a PROXY header must be that of its bytes';
    at = to;
  }
  return { secure, serverName };
}

/** The sum is taken with zeros in its own place. */
function isSum(header: Buffer, from: number, to: number): boolean {
  if (to - from !== 4) return false;
  const copy = Buffer.from(header);
  copy.fill(0, from, to);
  return crc32c(copy) === header.readUInt32BE(from);
}
