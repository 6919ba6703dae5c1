// Reads a configuration, from YAML or as an object: all that is wrong in it is told at once, each in one line that begins with
// file, line and column.
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { EvenkeelError } from '../../core/errors.ts';
import type { GatewaySettings } from '../settings.ts';
import { buildSettings } from './build.ts';
import type { GatewayFile } from './file.ts';
import { Files } from './files.ts';
import { keysAt } from './known-keys.ts';
import { findingsOf, showPath, type Finding } from './mistakes.ts';
import { Notes } from './notes.ts';
import { gatewayJsonSchema, gatewaySchema } from './schema.ts';
import { readSource, SOURCE_BYTES, type Mistake, type Path } from './source.ts';

export { gatewayJsonSchema } from './schema.ts';

/** Reads the configuration in a file. Throws EVENKEEL_BAD_CONFIG with a line per mistake, EVENKEEL_BAD_OPTION where there is no such file. */
export function readGatewayFile(path: string): GatewaySettings {
  return readGatewayText(textOf(path), { name: path, folder: dirname(path) });
}

/** `name` stands in messages; paths in the text begin at `folder`. */
export function readGatewayText(text: string, of: { readonly name: string; readonly folder: string }): GatewaySettings {
  const source = readSource(text);
  if (!('value' in source)) throw badConfig(of.name, source);
  const { settings, findings } = check(source.value, of.folder);
  const mistakes = [...source.mistakes, ...findings.map(({ path, of, text }) => ({ place: source.place(path, of), text }))];
  if (mistakes.length > 0 || settings === null) throw badConfig(of.name, mistakes);
  return settings;
}

/**
 * Settings of an object of the form of the file; paths in it begin at `folder`. Throws EVENKEEL_BAD_OPTION with its first mistake, in
 * which `nameOf` says what the value at a path is called.
 */
export function gatewaySettings(input: unknown, folder: string = '.', nameOf: (path: Path) => string = showPath): GatewaySettings {
  const { settings, findings } = check(input, folder);
  if (settings !== null && findings.length === 0) return settings;
  const texts = findings.map(({ path, text }) => text.replace(showPath(path), () => nameOf(path)));
  throw new EvenkeelError('EVENKEEL_BAD_OPTION', texts[0] ?? 'the configuration must be a mapping, got something else');
}

function textOf(path: string): string {
  try {
    // What is larger is not read, whatever it is.
    const { size } = statSync(path);
    if (size > SOURCE_BYTES) throw badConfig(path, [{ place: { line: 1, column: 1 }, text: `the file must have at most ${SOURCE_BYTES} bytes, got ${size}` }]);
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (EvenkeelError.is(error)) throw error;
    throw new EvenkeelError(
      'EVENKEEL_BAD_OPTION',
      `the configuration must be a file that can be read, got ${path} (${(error as NodeJS.ErrnoException).code ?? 'no reason'})`,
      error,
    );
  }
}

interface Checked {
  readonly settings: GatewaySettings | null;
  readonly findings: readonly Finding[];
}

/**
 * First what single values show. Where only some are wrong they are left out and the rest is looked at as a whole, so that one
 * look tells everything; what that says of the places that were left out is no news.
 */
function check(input: unknown, folder: string): Checked {
  const whole = gatewaySchema.safeParse(input);
  const groups = groupNames(input);
  if (whole.success) return build(whole.data, groups, folder);
  const schema = gatewayJsonSchema();
  const findings = findingsOf(whole.error.issues, input, (path) => keysAt(schema, path));
  const { file, removed } = withoutMistakes(input, findings);
  if (file === null) return { settings: null, findings };
  const more = build(file, groups, folder).findings.filter(({ path }) => !removed.some((gone) => isWithin(path, gone) || isWithin(gone, path)));
  return { settings: null, findings: [...findings, ...more] };
}

function build(file: GatewayFile, groups: ReadonlySet<string>, folder: string): Checked {
  const notes = new Notes();
  const settings = buildSettings(file, groups, { notes, files: new Files(folder, notes) });
  return { settings, findings: notes.findings };
}

function groupNames(input: unknown): Set<string> {
  const groups = typeof input === 'object' && input !== null && 'groups' in input ? input.groups : null;
  return new Set(typeof groups === 'object' && groups !== null && !Array.isArray(groups) ? Object.keys(groups) : []);
}

/** Rounds of leaving out: what is missing then takes its surroundings with it. */
const ROUNDS = 10;

function withoutMistakes(input: unknown, findings: readonly Finding[]): { file: GatewayFile | null; removed: readonly Path[] } {
  const copy: unknown = structuredClone(input);
  const removed: Path[] = [];
  let wrong: readonly Path[] = findings.map(({ path }) => path);
  for (let round = 0; round < ROUNDS; round++) {
    for (const path of wrong) removed.push(remove(copy, path));
    const result = gatewaySchema.safeParse(copy);
    if (result.success) return { file: result.data, removed };
    wrong = findingsOf(result.error.issues, copy, () => []).map(({ path }) => path);
  }
  return { file: null, removed };
}

/** Takes the thing at `path` out of its mapping, and whole lists, since the numbers of their entries are names. Returns what it took. */
function remove(from: unknown, path: Path): Path {
  const chain: unknown[] = [from];
  for (const step of path.slice(0, -1)) {
    const at = chain.at(-1);
    const next: unknown = isHolder(at) && Object.hasOwn(at, step) ? at[step] : undefined;
    if (!isHolder(next)) break;
    chain.push(next);
  }
  for (let depth = chain.length - 1; depth >= 0; depth--) {
    const holder = chain[depth];
    const key = path[depth];
    if (!isHolder(holder) || Array.isArray(holder) || key === undefined || !Object.hasOwn(holder, key)) continue;
    delete holder[key];
    return path.slice(0, depth + 1);
  }
  return [];
}

const isHolder = (value: unknown): value is Record<PropertyKey, unknown> => typeof value === 'object' && value !== null;

const isWithin = (path: Path, around: Path): boolean => around.length <= path.length && around.every((step, i) => path[i] === step);

/** So many are told of; a file with more has one mistake that makes the others. */
const TOLD = 50;

function badConfig(name: string, mistakes: readonly Mistake[]): EvenkeelError {
  const inOrder = mistakes.toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  const lines = inOrder.slice(0, TOLD).map(({ place, text }) => `${name}:${place.line}:${place.column}: ${text}`);
  const rest = inOrder.length - lines.length;
  return new EvenkeelError('EVENKEEL_BAD_CONFIG', [...lines, ...(rest > 0 ? [`${name}: ${rest} more mistakes`] : [])].join('\n'));
}
