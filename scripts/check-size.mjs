// Holds the downloads of the client to their limits: bundled as a page would, minified, gzipped. Run after a build.
import { gzipSync } from 'node:zlib';
import { build } from 'vite';

const limits = [
  { name: 'client with the JSON codec', entry: 'dist/src/client/index.js', bytes: 8_000 },
  { name: 'vitals', entry: 'dist/src/client/vitals.js', bytes: 1_500 },
];

for (const { name, entry, bytes } of limits) {
  const result = await build({
    configFile: false,
    logLevel: 'error',
    publicDir: false,
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      modulePreload: false,
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict', output: { format: 'es' } },
    },
  });
  const code = [result].flat().flatMap(({ output }) => output.map((chunk) => chunk.code ?? ''))[0];
  const size = gzipSync(code, { level: 9 }).length;
  console.log(`${name}: ${size} bytes gzipped (${code.length} minified), at most ${bytes}`);
  if (size > bytes) process.exitCode = 1;
}
