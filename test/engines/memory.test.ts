// The engine in memory keeps the promises of the port.
import { it } from 'node:test';
import { memoryEngine, MemoryStore } from '../../src/engine/memory.ts';
import { realClock } from '../../src/host/clock.ts';
import { alwaysAsync } from '../property.ts';
import { conformance } from './conformance.ts';
import { Model, operations } from './streams-model.ts';

conformance('memory', async () => {
  const store = new MemoryStore(realClock);
  return { open: () => memoryEngine({ clock: realClock, store }), close: async () => {} };
});

it('streams in memory do what the model does, whatever is called', () =>
  alwaysAsync(
    operations,
    async (all) => {
      const store = new MemoryStore(realClock);
      const engines = [memoryEngine({ clock: realClock, store }), memoryEngine({ clock: realClock, store })];
      await new Model(engines, '').run(all);
    },
    1_000,
  ));
