// Says in one line each what is wrong in a configuration: the thing, the rule, the value, and what was probably meant.
import type { z } from 'zod';
import { closest } from '../../core/closest.ts';
import { shown } from '../../core/options.ts';
import type { Path } from './source.ts';

export interface Finding {
  readonly path: Path;
  /** Whether the key is wrong or what it holds. */
  readonly of: 'key' | 'value';
  readonly text: string;
}

/** `groups.web.upstreams[0].weight`. */
export function showPath(path: Path): string {
  return path.map((step, i) => (typeof step === 'number' ? `[${step}]` : `${i === 0 ? '' : '.'}${String(step)}`)).join('') || 'the file';
}

/** A value as one short piece of text, without the password of an address. */
export const showValue = (value: unknown): string => shown(value).replace(/\/\/[^/@"]*@/, '//***@');

export const meant = (written: unknown, known: readonly string[]): string => {
  const word = typeof written === 'string' ? closest(written, known) : null;
  return word === null ? '' : `; did you mean ${word}?`;
};

/** What zod found, mistake by mistake. `keysAt` knows what may stand at a path. */
export function findingsOf(issues: readonly z.core.$ZodIssue[], input: unknown, keysAt: (path: Path) => readonly string[]): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(issue.path, key, keysAt(issue.path)));
    if (issue.code === 'invalid_union') {
      const fitting = issue.errors.filter((errors) => !errors.some(({ code, path }) => code === 'invalid_type' && path.length === 0));
      const inner = fitting.length === 1 ? fitting[0] : null;
      if (inner !== null)
        return findingsOf(
          inner.map((one) => ({ ...one, path: [...issue.path, ...one.path] })),
          input,
          keysAt,
        );
    }
    if (issue.code === 'invalid_key') {
      const key = String(issue.path.at(-1));
      return [{ path: issue.path, of: 'key', text: `a name in ${showPath(issue.path.slice(0, -1))} ${ruleOf(issue.issues[0])}, got ${showValue(key)}` }];
    }
    const value = valueAt(input, issue.path);
    if (value === undefined) return [{ path: issue.path, of: 'value', text: `${showPath(issue.path)} must be given, got nothing` }];
    const choices = issue.code === 'invalid_value' ? issue.values.map(String) : [];
    return [
      {
        path: issue.path,
        of: 'value',
        text: `${showPath(issue.path)} ${ruleOf(issue)}, got ${showValue(value)}${meant(value, choices)}${quotes(issue, value)}`,
      },
    ];
  });
}

function unknownKey(path: Path, key: string, known: readonly string[]): Finding {
  const around = path.length === 0 ? 'the file' : showPath(path);
  const hint = meant(key, known) || `; its keys are ${known.join(', ')}`;
  return { path: [...path, key], of: 'key', text: `${showPath([...path, key])} must be a key that ${around} knows, got ${showValue(key)}${hint}` };
}

/** Numbers and words such as `true` that are meant as text. */
const quotes = (issue: z.core.$ZodIssue, value: unknown): string =>
  issue.code === 'invalid_type' && issue.expected === 'string' && ['number', 'boolean'].includes(typeof value) ? '; put it in quotes' : '';

const kinds: { readonly [expected: string]: string } = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

const units: { readonly [origin: string]: string } = { array: ' entries', string: ' characters' };

function ruleOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `must be ${kinds[issue.expected] ?? issue.expected}`;
  if (issue.code === 'invalid_value') return `must be one of ${issue.values.map(String).join(', ')}`;
  if (issue.code === 'too_small' || issue.code === 'too_big') return sizeRule(issue);
  if (issue.code === 'invalid_union') {
    const rules = issue.errors.map(([first]) => ruleOf(first).replace(/^must be (one of )?/, ''));
    return `must be ${[...new Set(rules)].join(', or ')}`;
  }
  if (issue.message.startsWith('it must ')) return issue.message.slice('it '.length);
  return issue.message.startsWith('Invalid') ? `is not right (${issue.message})` : `must be ${issue.message}`;
}

function sizeRule(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const unit = units[issue.origin] ?? '';
  const verb = unit === '' ? 'must be' : 'must have';
  if (issue.code === 'too_big') return `${verb} at most ${issue.maximum}${unit}`;
  if (issue.inclusive === false) return `${verb} more than ${issue.minimum}${unit}`;
  return `${verb} at least ${issue.minimum}${unit}`;
}

export function valueAt(input: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === 'object' && at !== null && Object.hasOwn(at, step) ? (at as Record<PropertyKey, unknown>)[step] : undefined),
    input,
  );
}
