// A process that only hosts a local engine: nodes come and go, and what they share stays.
import { followParent, tellParent } from '../../src/cli/parent.ts';
import { localEngine } from '../../src/engine/local.ts';
import { exit } from '../../src/host/signals.ts';
import type { Ready, ToHost } from './messages.ts';

followParent((order) => {
  const engine = localEngine({ name: (order as ToHost).name, role: 'host' });
  void engine.listMembers().then(
    () => tellParent({ kind: 'ready' } satisfies Ready),
    () => exit(3),
  );
});
