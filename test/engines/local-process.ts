// A process of its own with a local engine in it, for the tests: announces itself four times a second, keeps an inbox open,
// and tells its parent what it sees. Arguments: id, name, directory, role, socket.
import { localEngine, type LocalRole } from '../../src/engine/local.ts';
import { realClock } from '../../src/host/clock.ts';
import { record } from './records.ts';

/** What the process tells its parent. */
export type Report =
  | { readonly kind: 'health'; readonly state: string }
  | { readonly kind: 'members'; readonly ids: readonly string[] }
  | { readonly kind: 'message'; readonly message: unknown };

const [id = '', name = '', directory = '', role = 'auto', socket = ''] = process.argv.slice(2);
const engine = localEngine({ name, directory, role: role as LocalRole, ...(socket === 'file' ? { socket } : {}) });
const tell = (report: Report): void => void process.send?.(report);
let sequence = 0;

engine.onHealth((health) => tell({ kind: 'health', state: health.state }));
void engine.receive(id, (message) => tell({ kind: 'message', message })).catch(() => process.exit(3));
realClock.every(250, () => {
  sequence++;
  engine
    .putMember(record(id, { sequence }), 2_000)
    .then(() => engine.listMembers())
    .then((members) => tell({ kind: 'members', ids: members.map((member) => member.id).sort() }))
    // Unreachable is told by health.
    .catch(() => {});
});
// The parent ends this process; should the parent die, so does this.
process.on('disconnect', () => process.exit(0));
