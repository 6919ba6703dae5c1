// A copy of the compiled code with one mistake in it, to see whether a search finds it.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

export interface Canary {
  readonly name: string;
  readonly file: string;
  readonly from: string | RegExp;
  readonly to: string;
  /** Where to begin: a seed that finds it, so that the test stays short; others follow if the code has changed. */
  readonly seed: number;
}

/** Runs `look` with the module of the copy, which is gone afterwards. */
export async function withMistake(canary: Canary, module: string, look: (mutant: unknown) => Promise<void>): Promise<void> {
  // Beside the original, so that packages are found from there as well.
  const copy = mkdtempSync(join(resolve('dist'), 'canary-'));
  try {
    cpSync('dist/src', copy, { recursive: true });
    const file = join(copy, canary.file);
    const code = readFileSync(file, 'utf8');
    const broken = code.replace(canary.from, canary.to);
    assert.notEqual(broken, code, 'the place to break is still there');
    writeFileSync(file, broken);
    await look(await import(pathToFileURL(join(copy, module)).href));
  } finally {
    rmSync(copy, { recursive: true });
  }
}
