// Loaded into every test file's process: one that has run its tests and does not end has left something open. It is told what, and ended.
import { after } from 'node:test';

const PATIENCE_MS = 20_000;

// The process that starts the others has it as well, and no tests.
if (process.env.NODE_TEST_CONTEXT !== undefined) {
  after(() => {
    const complain = () => {
      console.error(`still open ${PATIENCE_MS / 1_000} s after the last test: ${process.getActiveResourcesInfo().join(', ')}`);
      process.exit(1);
    };
    setTimeout(complain, PATIENCE_MS).unref();
  });
}
