// The files of a folder, read once into memory and found by their path: what is not among them cannot be asked for.
import { readdirSync, readFileSync } from 'node:fs';
import { extname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface StaticFile {
  readonly bytes: Buffer;
  readonly type: string;
}

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** By path, as `/assets/page.js`. Empty when there is no such folder. */
export function readFiles(folder: URL): ReadonlyMap<string, StaticFile> {
  const root = fileURLToPath(folder);
  const files = new Map<string, StaticFile>();
  for (const path of pathsIn(root)) {
    const name = `/${relative(root, path).split(sep).join('/')}`;
    files.set(name, { bytes: readFileSync(path), type: types[extname(path)] ?? 'application/octet-stream' });
  }
  return files;
}

function pathsIn(root: string): string[] {
  try {
    const entries = readdirSync(root, { recursive: true, withFileTypes: true });
    return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
