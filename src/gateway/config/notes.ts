// Collects what is wrong beyond single values: names of what is not there, files, and what does not go together.
import { meant, showPath, showValue, type Finding } from './mistakes.ts';
import type { Path } from './source.ts';

export class Notes {
  readonly #findings: Finding[] = [];

  get findings(): readonly Finding[] {
    return this.#findings;
  }

  /** `got` is said as it is. */
  add(path: Path, rule: string, got: string, of: Finding['of'] = 'value'): void {
    this.#findings.push({ path, of, text: `${showPath(path)} ${rule}, got ${got}` });
  }

  /** What somebody else has put into words. */
  told(finding: Finding): void {
    this.#findings.push(finding);
  }

  /** A name that must be one of `known`. */
  name(path: Path, name: string, known: ReadonlySet<string>, what: string): void {
    if (known.has(name)) return;
    const hint = meant(name, [...known]) || `; there ${known.size === 0 ? 'is none' : `are ${[...known].slice(0, 20).join(', ')}`}`;
    this.add(path, `must be ${what}`, `${showValue(name)}${hint}`);
  }
}
