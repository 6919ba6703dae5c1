// A process full of clients. It does what its parent says, tells its account a few times a second, and ends with its parent.
import { realClock } from '../../host/clock.ts';
import { realRandom } from '../../host/random.ts';
import { followParent, tellParent } from '../parent.ts';
import type { FromClients, ToClients } from './messages.ts';
import { Swarm } from './swarm.ts';

const TELL_MS = 250;

let swarm: Swarm | null = null;

followParent((order) => {
  const message = order as ToClients;
  if (message.kind === 'start') {
    swarm = new Swarm(message.swarm, { clock: realClock, random: realRandom });
    realClock.every(TELL_MS, () => tell('account'));
    return;
  }
  if (message.kind === 'rest') return swarm?.rest();
  // The account before the end: the connections that it counts are still open.
  tell('last-account');
  swarm?.stop();
});

function tell(kind: FromClients['kind']): void {
  if (swarm !== null) tellParent({ kind, account: swarm.account, notes: swarm.takeNotes() } satisfies FromClients);
}
