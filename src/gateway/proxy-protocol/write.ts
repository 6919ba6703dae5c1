// Writes the PROXY header that tells an upstream who the client is.
import type { ClientFacts } from '../ports.ts';
import { ipBytes, ipText, mapped } from './ip.ts';

type Client = Pick<ClientFacts, 'address' | 'port' | 'localAddress' | 'localPort' | 'secure' | 'serverName'>;

/** `client` is null for a connection of our own (a health check): then the upstream is told that nobody is behind it. */
export function proxyHeader(version: 'v1' | 'v2', client: Client | null): Buffer {
  const ends = client === null ? null : endsOf(client);
  return version === 'v1' ? writeV1(ends) : writeV2(client, ends);
}

interface Ends {
  readonly from: Buffer;
  readonly to: Buffer;
  readonly port: number;
  readonly localPort: number;
}

/** Both of one family, as the header wants them; null where there is no telling. */
function endsOf(client: Client): Ends | null {
  const from = ipBytes(client.address);
  const to = ipBytes(client.localAddress);
  if (from === null || to === null) return null;
  const { port, localPort } = client;
  return from.length === to.length ? { from, to, port, localPort } : { from: mapped(from), to: mapped(to), port, localPort };
}

function writeV1(ends: Ends | null): Buffer {
  if (ends === null) return Buffer.from('PROXY UNKNOWN\r\n', 'latin1');
  const kind = ends.from.length === 4 ? 'TCP4' : 'TCP6';
  const text = (bytes: Buffer): string => (kind === 'TCP6' ? textOfSix(bytes) : ipText(bytes));
  return Buffer.from(`PROXY ${kind} ${text(ends.from)} ${text(ends.to)} ${ends.port} ${ends.localPort}\r\n`, 'latin1');
}

/** IPv4 in IPv6 must look like IPv6 here. */
function textOfSix(bytes: Buffer): string {
  const text = ipText(bytes);
  return text.includes(':') ? text : `::ffff:${text}`;
}

const V2_START: Buffer = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const LOCAL = 0x20;
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
const AUTHORITY = 0x02;
const TLS = 0x20;

function writeV2(client: Client | null, ends: Ends | null): Buffer {
  if (client === null || ends === null) return Buffer.concat([V2_START, Buffer.from([client === null ? LOCAL : PROXY, 0, 0, 0])]);
  const extras: Buffer[] = [];
  if (client.serverName !== null) extras.push(extra(AUTHORITY, Buffer.from(client.serverName, 'latin1')));
  // The client spoke TLS; no certificate of its own was checked.
  if (client.secure) extras.push(extra(TLS, Buffer.from([1, 0, 0, 0, 1])));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(ends.port, 0);
  ports.writeUInt16BE(ends.localPort, 2);
  const body = Buffer.concat([ends.from, ends.to, ports, ...extras]);
  const head = Buffer.from([PROXY, ends.from.length === 4 ? TCP4 : TCP6, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([V2_START, head, body]);
}

function extra(kind: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([kind, value.length >> 8, value.length & 0xff]), value]);
}
