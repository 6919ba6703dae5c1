// Reads what the documents say: sections, tables, code spans; and what the sources declare, where nothing says it at run time.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository, from the compiled test. */
export const root: string = fileURLToPath(new URL('../../../', import.meta.url));

export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

const LEFT_OUT = new Set(['node_modules', 'dist', '.git', '.venv']);

/** Paths of all files below `folder`, with `/`, relative to the repository. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (LEFT_OUT.has(entry.name)) return [];
    const path = relative(root, join(root, folder, entry.name))
      .split(sep)
      .join('/');
    return entry.isDirectory() ? filesBelow(path) : [path];
  });
}

export const markdownFiles = (): string[] => filesBelow('.').filter((path) => path.endsWith('.md'));

export interface Table {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface Section {
  /** The heading without its `#`. */
  readonly title: string;
  readonly level: number;
  readonly text: string;
  readonly tables: readonly Table[];
}

/** One section per heading, up to the next one of any level. What stands before the first heading is left out. */
export function sectionsOf(markdown: string): Section[] {
  const found: { title: string; level: number; lines: string[] }[] = [];
  let isCode = false;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) isCode = !isCode;
    const heading = isCode ? null : /^(#+) (.*)$/.exec(line);
    if (heading === null) found.at(-1)?.lines.push(line);
    else found.push({ title: heading[2], level: heading[1].length, lines: [] });
  }
  return found.map(({ title, level, lines }) => ({ title, level, text: lines.join('\n'), tables: tablesOf(lines) }));
}

export function section(markdown: string, title: string): Section {
  const found = sectionsOf(markdown).find((one) => one.title === title);
  if (found === undefined) throw new Error(`no section '${title}'`);
  return found;
}

function tablesOf(lines: readonly string[]): Table[] {
  const tables: { head: string[]; rows: string[][] }[] = [];
  let isOpen = false;
  for (const line of lines) {
    if (!line.startsWith('|')) {
      isOpen = false;
    } else if (!isOpen) {
      tables.push({ head: cellsOf(line), rows: [] });
      isOpen = true;
    } else if (!/^\|[\s|:-]+\|$/.test(line) || !line.includes('---')) {
      tables.at(-1)?.rows.push(cellsOf(line));
    }
  }
  return tables;
}

function cellsOf(line: string): string[] {
  const cells = line.split(/(?<!\\)\|/).slice(1, -1);
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|'));
}

/** What stands between backticks. */
export const codeIn = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1]);

/** The rows of all tables of a page whose first column is headed `name`. */
export function rowsOf(sections: readonly Section[], name: string): (readonly string[])[] {
  return sections.flatMap(({ tables }) => tables.filter(({ head }) => head[0] === name).flatMap(({ rows }) => rows));
}

/** Code spans of the first column of those rows. */
export const firstColumn = (rows: readonly (readonly string[])[]): string[] => rows.flatMap(([cell]) => codeIn(cell));

/** Names of the members of an interface, as its source declares them. */
export function membersOf(path: string, name: string): string[] {
  const lines = read(path).split('\n');
  const begin = lines.findIndex((line) => line.startsWith(`export interface ${name} `));
  if (begin === -1) throw new Error(`no interface ${name} in ${path}`);
  const body = lines.slice(begin + 1, lines.indexOf('}', begin));
  return body.flatMap((line) => /^ {2}(?:readonly )?(\w+)\??(?:\(|:)/.exec(line)?.[1] ?? []);
}

/** `{a, b:[{c}]}` as a document writes the shape of an answer: names of the outermost level, and of each list in it. */
export function shapeOf(text: string): { readonly keys: string[]; readonly lists: ReadonlyMap<string, string[]> } {
  const lists = new Map<string, string[]>();
  const outer = text.replaceAll(/(\w+):\[\{([^}]*)\}\]/g, (_, key: string, inner: string) => {
    lists.set(key, namesIn(inner));
    return key;
  });
  return { keys: namesIn(outer.slice(1, -1)), lists };
}

const namesIn = (text: string): string[] => text.split(',').map((name) => name.trim());

/** In an order that does not depend on where they stand. */
export const sorted = (names: Iterable<string>): string[] => [...new Set(names)].sort();
