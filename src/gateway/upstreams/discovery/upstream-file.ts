// Reads what a file of upstreams says: one `host:port [weight=N] [name=X]` a line, or a YAML list of addresses or
// `{address, weight, name}`. Every mistake is named with its line; half a list is no list.
import { isIPv6 } from 'node:net';
import { LineCounter, parseDocument } from 'yaml';
import { nameOf, MOST_UPSTREAMS, type Listed } from './source.ts';
import type { Address } from '../../settings.ts';

/** The upstreams; throws an Error whose message names the line, the rule and the value. */
export function readUpstreams(text: string): readonly Listed[] {
  const listed = isYaml(text) ? readYaml(text) : readLines(text);
  const names = new Set<string>();
  for (const { name } of listed) {
    if (names.has(name)) throw new Error(`names must differ, got ${name} twice`);
    names.add(name);
  }
  if (listed.length > MOST_UPSTREAMS) throw new Error(`it must name at most ${MOST_UPSTREAMS} upstreams, got ${listed.length}`);
  return listed;
}

/** Begins with an item or with a bracket that is not that of an IPv6 address. */
function isYaml(text: string): boolean {
  const [first = ''] = text
    .replaceAll(/^\s*#.*$/gm, '')
    .trimStart()
    .split(/\s/, 1);
  return /^(-|\[)/.test(first) && readAddress(first) === null;
}

function readLines(text: string): Listed[] {
  const listed: Listed[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    const words = line
      .replace(/(^|\s)#.*$/, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    if (words.length === 0) return;
    const [where, ...settings] = words;
    const parts: { address: string; weight?: unknown; name?: unknown } = { address: where };
    for (const setting of settings) {
      const [, key, value] = /^(weight|name)=(.+)$/.exec(setting) ?? refuse(i + 1, 'after the address there may be weight=N and name=X', setting);
      if (key === 'weight') parts.weight = Number(value);
      else parts.name = value;
    }
    listed.push(readOne(parts, i + 1));
  });
  // An empty file is one that is being written, more likely than a wish to have nobody: that is said by an empty YAML list.
  if (listed.length === 0) throw new Error('it must name at least one upstream, got an empty file');
  return listed;
}

function readYaml(text: string): Listed[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) return refuse(error.linePos?.[0].line ?? 1, 'must be YAML', error.message.split('\n')[0]);
  const list: unknown = document.toJS({ maxAliasCount: 100 });
  if (!Array.isArray(list)) return refuse(1, 'must be a list', list);
  return list.map((item: unknown, i) => {
    const node: unknown = document.getIn([i], true);
    const offset = (node as { range?: readonly number[] | null } | undefined)?.range?.[0] ?? 0;
    const { line } = lines.linePos(offset);
    if (typeof item === 'string') return readOne({ address: item }, line);
    if (typeof item !== 'object' || item === null) return refuse(line, 'must be host:port or {address, weight, name}', item);
    const unknown = Object.keys(item).find((key) => !['address', 'weight', 'name'].includes(key));
    if (unknown !== undefined) return refuse(line, 'must have no keys but address, weight and name', unknown);
    return readOne(item, line);
  });
}

function readOne({ address: where, weight = 1, name }: { address?: unknown; weight?: unknown; name?: unknown }, line: number): Listed {
  const address = typeof where === 'string' ? readAddress(where) : null;
  if (address === null) return refuse(line, 'address must be host:port', where);
  if (typeof weight !== 'number' || !(weight >= 0 && weight <= 1e6)) return refuse(line, 'weight must be a number from 0 to 1000000', weight);
  if (name !== undefined && (typeof name !== 'string' || name === '' || name.length > 200)) {
    return refuse(line, 'name must be a string of 1 to 200 characters', name);
  }
  return { name: name ?? nameOf(address), address, weight, state: 'up' };
}

/** `host:port`, with brackets around an IPv6 address; null: it is none. */
export function readAddress(text: string): Address | null {
  const [, inBrackets, plain, digits] = /^(?:\[([^\]]+)\]|([^\s:/@[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = inBrackets ?? plain;
  const port = Number(digits);
  if (host === undefined || host.length > 255 || port < 1 || port > 65_535) return null;
  return inBrackets !== undefined && !isIPv6(inBrackets) ? null : { host, port };
}

function refuse(line: number, rule: string, got: unknown): never {
  throw new Error(`line ${line}: ${rule}, got ${typeof got === 'string' ? got.slice(0, 80) : JSON.stringify(got)}`);
}
