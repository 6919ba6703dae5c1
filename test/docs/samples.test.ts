// Every TypeScript sample of the documents compiles, strictly, against what the package exports.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { markdownFiles, read, root } from './pages.ts';

/** What samples take for granted: what their reader has already. */
const surroundings = `
declare const app: import('node:http').RequestListener;
declare const response: import('node:http').ServerResponse;
declare const socket: import('ws').WebSocket;
declare const server: import('node:http').Server;
declare const node: import('evenkeel').Evenkeel;
declare const client: import('evenkeel/client').Client;
declare const userOf: (token: string) => Promise<string>;
declare const rename: (user: string | null, name: string) => Promise<string>;
declare const fetchToken: () => Promise<string>;
declare const show: (value: unknown) => void;
declare const reloadRoom: () => void;
declare const userAgreed: boolean;
declare const express: typeof import('express').default;
declare const Fastify: typeof import('fastify').default;
declare const evenkeel: typeof import('evenkeel').evenkeel;
`;

const compilerOptions = {
  target: 'es2022',
  lib: ['es2023', 'esnext.disposable'],
  types: ['node'],
  module: 'nodenext',
  strict: true,
  noEmit: true,
  skipLibCheck: true,
};

test('samples compile', (context) => {
  // Below the package, so that it finds itself under its own name.
  mkdirSync(join(root, 'dist'), { recursive: true });
  const folder = mkdtempSync(join(root, 'dist', 'samples-'));
  context.after(() => rmSync(folder, { recursive: true }));
  let samples = 0;
  for (const path of markdownFiles()) {
    for (const [, code] of read(path).matchAll(/^```ts\n([^]*?)^```/gm)) {
      const name = `${path.replaceAll(/[^\w]/g, '-')}-${++samples}.ts`;
      writeFileSync(join(folder, name), `${code}\nexport {};\n`);
    }
  }
  assert.ok(samples >= 5, `${samples} samples were found`);
  writeFileSync(join(folder, 'surroundings.d.ts'), surroundings);
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.ts'] }));
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', folder], { encoding: 'utf8' });
  assert.equal(status, 0, `${stdout}${stderr}`);
});
