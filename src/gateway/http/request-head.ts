// Reads the head of a request, strictly: what another parser could understand differently is refused. What is left is the
// head as an upstream is to get it, but for the fields that the gateway adds.
import { METHODS } from 'node:http';
import type { RequestFacts } from '../ports.ts';
import { CR, HOST, isAllOf, isNamed, LF, SPACE, TARGET, TOKEN } from './characters.ts';
import { BadHead, digits, field, known, listed, lookUp, readFields, takeConnection, without, type FieldRules, type HeadLimits } from './fields.ts';

export class RequestHead implements RequestFacts {
  method = '';
  /** Path and query, as the upstream gets it; `*` for OPTIONS. */
  target = '';
  host = '';
  /** Host and port as they came; null: the client (of HTTP/1.0) named none. */
  authority: string | null = null;
  /** Of HTTP/1: 1 or 0. */
  minor = 1;
  /** Of the body; 0 also where there is none. */
  length = 0;
  chunked = false;
  /** `Expect: 100-continue`. */
  expects = false;
  /** The client wants to go on after the answer. */
  keepAlive = true;
  /** `Upgrade` and `Connection` name it: the tokens, in lower case. */
  upgrade: string | null = null;
  /** The client can read trailers. */
  trailers = false;
  forwardedFor: string | null = null;
  forwardedHost: string | null = null;
  forwardedProto: string | null = null;
  /** `Forwarded` fields, which only a trusted hop may send. */
  forwarded = '';
  /** The first line and the fields that go on, without the empty line. */
  kept = '';
  /** Where the head ends in its text. */
  end = 0;
  /** Where the fields begin in its text. */
  fieldsAt = 0;
  #text = '';

  header(name: string): string | undefined {
    return lookUp(this.#text, this.fieldsAt, name);
  }

  readFrom(text: string): void {
    this.#text = text;
  }

  get hasBody(): boolean {
    return this.chunked || this.length > 0;
  }
}

/** What only the reading of a head needs to know; one for all. */
const seen = { keptFrom: 0, hosts: 0, lengths: 0, encodings: 0, upgrade: '' };
const named: string[] = [];

const bad = (why: string): BadHead => new BadHead(400, why);

const VERSION = new BadHead(505, 'only HTTP/1.1 and HTTP/1.0 are spoken here');
const LINE = bad('the request line is not "METHOD target HTTP/1.1"');
const TWO_LENGTHS = bad('Content-Length must be given once');
const LENGTH = bad('Content-Length must be a number of decimal digits');
const HOSTS = bad('Host must be given exactly once');
const HOST_CHARACTERS = bad('Host must be a name or an address, with a port or without');
const ENCODING = new BadHead(501, 'Transfer-Encoding must be "chunked"');
const AMBIGUOUS = bad('Transfer-Encoding and Content-Length exclude each other');
const OLD_ENCODING = bad('HTTP/1.0 has no Transfer-Encoding');
/** Servers of that time do not look for one, and would take it for the next request. */
const OLD_BODY = bad('GET, HEAD and DELETE of HTTP/1.0 have no body');
const METHOD = new BadHead(501, 'the method is not known');
const CONNECT = new BadHead(501, 'CONNECT is not offered');
const TARGET_FORM = bad('the request target must be a path, a URL of http or https, or * for OPTIONS');
const TARGET_HOST = bad('the host of the request target and Host must be the same');
const EXPECTATION = new BadHead(417, 'only 100-continue can be expected');

const methods = new Set(METHODS.filter((method) => method !== 'CONNECT'));

/** Reads the head that begins at `start`. `text` holds all of it, to its empty line. */
export function parseRequest(text: string, start: number, limits: HeadLimits): RequestHead | BadHead {
  const head = new RequestHead();
  seen.hosts = seen.lengths = seen.encodings = 0;
  if (named.length > 0) named.length = 0;
  seen.upgrade = '';
  const wrong = readLine(head, text, start) ?? readFields(head, text, limits.headers, rules) ?? judge(head);
  if (wrong !== null) return wrong;
  head.readFrom(text);
  head.kept += text.slice(seen.keptFrom, head.end - 2);
  if (named.length > 0) head.kept = without(head.kept, head.kept.indexOf('\n') + 1, named);
  return head;
}

function readLine(head: RequestHead, text: string, start: number): BadHead | null {
  let i = start;
  while (TOKEN[text.charCodeAt(i)] === 1) i++;
  if (i === start || text.charCodeAt(i) !== SPACE) return LINE;
  head.method = text.slice(start, i);
  const targetAt = ++i;
  while (TARGET[text.charCodeAt(i)] === 1) i++;
  if (i === targetAt || text.charCodeAt(i) !== SPACE) return LINE;
  head.target = text.slice(targetAt, i);
  if (!text.startsWith('HTTP/', ++i)) return LINE;
  const end = i + 8;
  if (text.charCodeAt(end) !== CR || text.charCodeAt(end + 1) !== LF) return LINE;
  const isNew = text.startsWith('1.1', i + 5);
  if (!isNew && !text.startsWith('1.0', i + 5)) return /^\d\.\d$/.test(text.slice(i + 5, end)) ? VERSION : LINE;
  head.minor = isNew ? 1 : 0;
  head.keepAlive = isNew;
  // With a path as its target, too.
  if (!methods.has(head.method)) return head.method === 'CONNECT' ? CONNECT : METHOD;
  head.fieldsAt = end + 2;
  seen.keptFrom = start;
  const isPath = text.charCodeAt(targetAt) === 0x2f;
  if (isPath && isNew) return null;
  const wrong = isPath ? null : readTarget(head);
  head.kept = `${head.method} ${head.target} HTTP/1.1\r\n`;
  seen.keptFrom = head.fieldsAt;
  return wrong;
}

/** Anything but a path. A URL becomes the path in it; its host must then be that of `Host`. */
function readTarget(head: RequestHead): BadHead | null {
  if (head.target === '*') return head.method === 'OPTIONS' ? null : TARGET_FORM;
  const [, authority, path] = /^https?:\/\/([^/?]+)(.*)$/i.exec(head.target) ?? [];
  if (authority === undefined || !isAllOf(authority, HOST)) return TARGET_FORM;
  head.authority = authority;
  if (path === '') head.target = head.method === 'OPTIONS' ? '*' : '/';
  else head.target = path.startsWith('/') ? path : `/${path}`;
  return null;
}

/** Looks at the field in `field`, whose line begins at `at`; what is not for the upstream is left out. */
function take(head: RequestHead, text: string, at: number): BadHead | null {
  const { nameEnd, valueStart, valueEnd, next } = field;
  const name = known(text, at, nameEnd);
  switch (name) {
    case null:
    case 'trailer':
      return null;
    case 'host':
      return takeHost(head, text.slice(valueStart, valueEnd));
    // Not every parser knows that a tab may stand behind the value; where framing hangs on it, none may.
    case 'content-length':
      if (seen.lengths++ > 0) return TWO_LENGTHS;
      head.length = digits(text, valueStart, valueEnd);
      return head.length < 0 || text.slice(valueEnd, next).includes('\t') ? LENGTH : null;
    case 'transfer-encoding':
      if (seen.encodings++ > 0 || valueEnd - valueStart !== 7 || !isNamed(text, valueStart, 'chunked')) return ENCODING;
      if (text.slice(valueEnd, next).includes('\t')) return ENCODING;
      head.chunked = true;
      return null;
    case 'expect':
      if (valueEnd - valueStart !== 12 || text.slice(valueStart, valueEnd).toLowerCase() !== '100-continue') return EXPECTATION;
      head.expects = head.minor === 1;
      if (head.expects) return null;
      break;
    case 'connection':
      takeConnection(head, named, text.slice(valueStart, valueEnd));
      break;
    // A server that takes it for the real one would believe the client what only we may say.
    case 'look-alike':
      break;
    default:
      takeAside(head, name, text.slice(at, next));
  }
  head.kept += text.slice(seen.keptFrom, at);
  seen.keptFrom = next;
  return null;
}

const rules: FieldRules<RequestHead> = {
  take,
  noField: bad('a header line is not "Name: value"'),
  tooMany: new BadHead(431, 'there are too many header fields'),
};

function takeHost(head: RequestHead, value: string): BadHead | null {
  if (seen.hosts++ > 0) return HOSTS;
  if (!isAllOf(value, HOST)) return HOST_CHARACTERS;
  if (head.authority !== null && head.authority.toLowerCase() !== value.toLowerCase()) return TARGET_HOST;
  head.authority = value;
  return null;
}

/** Fields that end here, or that the gateway writes anew. */
function takeAside(head: RequestHead, name: string, line: string): void {
  const value = line.slice(line.indexOf(':') + 1).trim();
  switch (name) {
    case 'upgrade':
      seen.upgrade = seen.upgrade === '' ? value : `${seen.upgrade}, ${value}`;
      return;
    case 'te':
      if (listed(value).includes('trailers')) head.trailers = true;
      return;
    case 'x-forwarded-for':
      head.forwardedFor = head.forwardedFor === null ? value : `${head.forwardedFor}, ${value}`;
      return;
    case 'x-forwarded-host':
      head.forwardedHost ??= value;
      return;
    case 'x-forwarded-proto':
      head.forwardedProto ??= value;
      return;
    case 'forwarded':
      head.forwarded += line;
  }
}

/** What only the whole head shows. */
function judge(head: RequestHead): BadHead | null {
  const { authority } = head;
  if (head.chunked) {
    if (seen.lengths > 0) return AMBIGUOUS;
    if (head.minor === 0) return OLD_ENCODING;
  }
  if (head.minor === 0 && head.length > 0 && /^(?:GET|HEAD|DELETE)$/.test(head.method)) return OLD_BODY;
  if (seen.hosts === 0) {
    if (head.minor === 1) return HOSTS;
    if (authority !== null) head.kept += `Host: ${authority}\r\n`;
  }
  if (authority !== null) {
    const host = hostName(authority);
    if (host === null) return HOST_CHARACTERS;
    head.host = host;
  }
  if (seen.upgrade !== '' && head.minor === 1 && named.includes('upgrade')) head.upgrade = seen.upgrade.toLowerCase();
  return null;
}

/** The last host that was read; one client after the other names the same. */
const last = { authority: '', name: '' };

/** Without the port, in lower case; null: this is no host. */
function hostName(authority: string): string | null {
  if (authority === last.authority) return last.name;
  const isAddress = authority.charCodeAt(0) === 0x5b;
  const colon = isAddress ? authority.indexOf(']') + 1 : authority.indexOf(':');
  if (isAddress && colon === 0) return null;
  const nameEnd = colon === -1 ? authority.length : colon;
  const name = authority.slice(0, nameEnd).toLowerCase();
  if (!/^(?::\d{0,5})?$/.test(authority.slice(nameEnd)) || name === '') return null;
  if (isAddress ? !/^\[[0-9a-f:.]+\]$/.test(name) : /[[\]]/.test(name)) return null;
  last.authority = authority;
  last.name = name;
  return name;
}
