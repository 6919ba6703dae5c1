// Reads the head of an upstream's response as strictly as that of a request: a response that two parsers could cut at
// different places would let an upstream's client speak in the name of the next one.
import { CR, LF, SPACE, VALUE, isNamed } from './characters.ts';
import { BadHead, digits, field, known, lookUp, readFields, takeConnection, without, type FieldRules, type HeadLimits } from './fields.ts';

export class ResponseHead {
  status = 0;
  /** Of HTTP/1: 1 or 0. */
  minor = 1;
  /** Content-Length; -1: not given. */
  length = -1;
  chunked = false;
  /** The upstream keeps its connection. */
  keepAlive = true;
  /** The client is to get the head as it came, if nothing is added. */
  unchanged = true;
  /** Status line and fields for the client, without the empty line. */
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

  /** The fields for the client, a line each. */
  get lines(): string {
    return this.unchanged ? this.#text.slice(this.fieldsAt, this.end - 2) : this.kept.slice(this.kept.indexOf('\n') + 1);
  }
}

const seen = { keptFrom: 0, encodings: 0 };
const named: string[] = [];

const bad = (why: string): BadHead => new BadHead(502, why);

const LINE = bad('the status line is not "HTTP/1.1 NNN reason"');
const LENGTH = bad('Content-Length is given twice, or is not a number of decimal digits');
const ENCODING = bad('Transfer-Encoding is given twice, or is not "chunked"');
const AMBIGUOUS = bad('there are both Transfer-Encoding and Content-Length');
const OLD_ENCODING = bad('HTTP/1.0 has no Transfer-Encoding');
const TOO_LARGE = bad('its head is too large');

/** Reads the head at the start of `text`, which holds all of it, to its empty line. */
export function parseResponse(text: string, limits: HeadLimits): ResponseHead | BadHead {
  const head = new ResponseHead();
  seen.keptFrom = seen.encodings = 0;
  if (named.length > 0) named.length = 0;
  const wrong = readLine(head, text) ?? readFields(head, text, limits.headers, rules);
  if (wrong !== null) return wrong;
  if (head.end > limits.headBytes) return TOO_LARGE;
  if (head.chunked && head.length >= 0) return AMBIGUOUS;
  if (head.chunked && head.minor === 0) return OLD_ENCODING;
  head.readFrom(text);
  if (head.unchanged) return head;
  head.kept += text.slice(seen.keptFrom, head.end - 2);
  if (named.length > 0) head.kept = without(head.kept, head.fieldsAt, named);
  return head;
}

/** What is sent to the client where something is to be added to it. */
export function keptOf(head: ResponseHead, text: string): string {
  return head.unchanged ? text.slice(0, head.end - 2) : head.kept;
}

function readLine(head: ResponseHead, text: string): BadHead | null {
  if (!text.startsWith('HTTP/1.')) return LINE;
  const minor = text.charCodeAt(7) - 48;
  if ((minor !== 1 && minor !== 0) || text.charCodeAt(8) !== SPACE) return LINE;
  head.status = digits(text, 9, 12);
  if (head.status < 100) return LINE;
  let i = 12;
  if (text.charCodeAt(i) === SPACE) while (VALUE[text.charCodeAt(i)] === 1) i++;
  if (text.charCodeAt(i) !== CR || text.charCodeAt(i + 1) !== LF) return LINE;
  head.minor = minor;
  head.fieldsAt = i + 2;
  if (minor === 1) return null;
  // To the client we speak HTTP/1.1, whatever the upstream speaks.
  head.keepAlive = head.unchanged = false;
  head.kept = `HTTP/1.1${text.slice(8, head.fieldsAt)}`;
  seen.keptFrom = head.fieldsAt;
  return null;
}

/** Looks at the field in `field`, whose line begins at `at`; what ends here is left out. */
function take(head: ResponseHead, text: string, at: number): BadHead | null {
  const { nameEnd, valueStart, valueEnd, next } = field;
  switch (known(text, at, nameEnd)) {
    case 'content-length': {
      const length = digits(text, valueStart, valueEnd);
      if (head.length >= 0 || length < 0) return LENGTH;
      head.length = length;
      if (!isWithoutBody(head)) return null;
      break;
    }
    case 'transfer-encoding':
      if (seen.encodings++ > 0 || valueEnd - valueStart !== 7 || !isNamed(text, valueStart, 'chunked')) return ENCODING;
      head.chunked = true;
      if (!isWithoutBody(head)) return null;
      break;
    case 'connection':
      takeConnection(head, named, text.slice(valueStart, valueEnd));
      break;
    case 'keep-alive':
    case 'upgrade':
    case 'te':
    case 'proxy':
      break;
    default:
      return null;
  }
  head.kept += text.slice(seen.keptFrom, at);
  head.unchanged = false;
  seen.keptFrom = next;
  return null;
}

const rules: FieldRules<ResponseHead> = { take, noField: bad('a header line is not "Name: value"'), tooMany: bad('there are too many header fields') };

/** Such an answer may not speak of a body (RFC 9110, section 8.6; RFC 9112, section 6.1): its reader would wait for one. */
const isWithoutBody = ({ status }: ResponseHead): boolean => status < 200 || status === 204;
