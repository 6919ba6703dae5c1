// A YAML text as a value, with the place of everything in it. What is no YAML, what stands there twice and what has grown too
// large is told with its place; anchors, aliases and merge keys (`<<`) are followed.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Pair, type YAMLMap } from 'yaml';

export interface Place {
  readonly line: number;
  readonly column: number;
}

export interface Mistake {
  readonly place: Place;
  readonly text: string;
}

/** Names of keys and numbers of entries, from the outside in. */
export type Path = readonly PropertyKey[];

export interface Source {
  readonly value: unknown;
  /** Mistakes that leave a value to look at, such as a key that is there twice. */
  readonly mistakes: readonly Mistake[];
  /** The place of the value at `path`, or of its key; where there is none, of the nearest thing around it. */
  place(path: Path, of: 'key' | 'value'): Place;
}

/** A configuration with 10,000 upstreams has a tenth of this. */
export const SOURCE_BYTES = 4_194_304;

const START: Place = { line: 1, column: 1 };

/** The text as a source, or the mistakes where no value can be made of it. */
export function readSource(text: string): Source | readonly Mistake[] {
  if (Buffer.byteLength(text) > SOURCE_BYTES)
    return [{ place: START, text: `the file must have at most ${SOURCE_BYTES} bytes, got ${Buffer.byteLength(text)}` }];
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false, logLevel: 'silent' });
    const at = (offset: number): Place => placeAt(lines, offset);
    const broken = document.errors.filter(({ code }) => code !== 'DUPLICATE_KEY');
    if (broken.length > 0)
      return broken.map(({ message, pos }) => ({ place: at(pos[0]), text: `the file must be YAML, got a mistake here: ${inOneLine(message)}` }));
    const dangling = aliasesWithout(document).map((offset) => ({
      place: at(offset),
      text: `an alias must name an anchor that stands before it, got one that does not`,
    }));
    if (dangling.length > 0) return dangling;
    const twice = document.errors.map(({ pos }) => ({ place: at(pos[0]), text: `a key must stand in a mapping once, got ${keyAt(text, pos)} again` }));
    const tags = document.warnings.map(({ message, pos }) => ({
      place: at(pos[0]),
      text: `the file must have YAML's own tags only, got another: ${inOneLine(message)}`,
    }));
    return {
      value: document.toJS({ maxAliasCount: 1_000 }),
      mistakes: [...twice, ...tags],
      place: (path, of) => at(offsetOf(document, path, of)),
    };
  } catch (error) {
    // Nested a hundred thousand deep, or aliases of aliases that grow without end.
    return [{ place: START, text: `the file must be YAML of a sane size, got something else: ${inOneLine((error as Error).message)}` }];
  }
}

const inOneLine = (message: string): string => message.replaceAll(/\s+/g, ' ').slice(0, 200);

const keyAt = (text: string, [from, to]: readonly [number, number]): string => {
  const end = to > from + 1 ? to : from + (/^[^\s:,}\]]*/.exec(text.slice(from, from + 100))?.[0].length ?? 1);
  return text.slice(from, end).trim();
};

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return line === 0 ? START : { line, column: col };
}

function aliasesWithout(document: Document): number[] {
  const offsets: number[] = [];
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) === undefined) offsets.push(alias.range?.[0] ?? 0);
    },
  });
  return offsets;
}

/** Where the last thing on the way along `path` begins that is there. */
function offsetOf(document: Document, path: Path, of: 'key' | 'value'): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [i, step] of path.entries()) {
    const inside = isAlias(node) ? node.resolve(document) : node;
    const pair = isMap(inside) ? pairOf(document, inside, String(step)) : null;
    const next: unknown = pair === null ? (isSeq(inside) ? inside.items[Number(step)] : undefined) : pair.value;
    if (pair === null && next === undefined) return offset;
    const isLast = i === path.length - 1;
    // A key without a value has no place but its own.
    const ofKey = pair !== null && ((isLast && of === 'key') || isEmpty(next));
    offset = startOf(ofKey ? pair.key : next) ?? offset;
    node = next;
  }
  return offset;
}

const isEmpty = (node: unknown): boolean => node === null || (isScalar(node) && node.value === null && node.source === '');

/** The pair of `key` in a mapping, or in what is merged into it. */
function pairOf(document: Document, map: YAMLMap, key: string): Pair | null {
  const merged: YAMLMap[] = [];
  for (const pair of map.items) {
    const written = isScalar(pair.key) ? pair.key.value : pair.key;
    const name = typeof written === 'symbol' ? '<<' : String(written);
    if (name === key) return pair;
    if (name === '<<') merged.push(...mapsIn(document, pair.value));
  }
  for (const inner of merged) {
    const found = pairOf(document, inner, key);
    if (found !== null) return found;
  }
  return null;
}

function mapsIn(document: Document, node: unknown): YAMLMap[] {
  const inside = isAlias(node) ? node.resolve(document) : node;
  if (isMap(inside)) return [inside];
  return isSeq(inside) ? inside.items.flatMap((item) => mapsIn(document, item)) : [];
}

function startOf(node: unknown): number | null {
  if (typeof node !== 'object' || node === null || !('range' in node)) return null;
  const { range } = node as { range?: readonly number[] | null };
  return range?.[0] ?? null;
}
