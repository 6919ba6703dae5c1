// The engine in memory keeps the promises of the port.
import { memoryEngine, MemoryStore } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { conformance } from './conformance.ts';

conformance('memory', async () => {
  const store = new MemoryStore(realClock);
  return { open: () => memoryEngine({ clock: realClock, store }), close: async () => {} };
});
