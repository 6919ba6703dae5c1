// A process of clients of sessions that follow one topic each; tells how many have a link, and when the last one got it.
import { connect } from '../../src/client/node/index.ts';
import { nowUs } from './orders.ts';
import { followOrders } from './worker.ts';

export interface CrashClientsGiven {
  readonly urls: readonly string[];
  readonly clients: number;
  /** So many begin in a second. */
  readonly perS: number;
}

export interface ClientsTold {
  /** With a welcomed link, now. */
  readonly open: number;
  /** When the number changed to that, on the clock that all processes share, us. */
  readonly since: number;
  /** Sessions that were not resumed, and gaps. */
  readonly troubles: number;
}

const { urls, clients, perS } = JSON.parse(process.argv[2]) as CrashClientsGiven;
let open = 0;
let since = nowUs();
let troubles = 0;

function begin(number: number): void {
  const client = connect({ url: urls });
  let wasOpen = false;
  client.onState(({ kind }) => {
    const isOpen = kind === 'open' || kind === 'moving';
    if (isOpen === wasOpen) return;
    wasOpen = isOpen;
    open += isOpen ? 1 : -1;
    since = nowUs();
  });
  client.onGap(() => void troubles++);
  client.onUndecided(() => void troubles++);
  client.subscribe(`topic-${number % 100}`);
}

let begun = 0;
const timer = setInterval(() => {
  const due = Math.min(clients, begun + Math.ceil(perS / 20));
  while (begun < due) begin(begun++);
  if (begun === clients) clearInterval(timer);
}, 50);

followOrders(async (): Promise<ClientsTold> => ({ open, since, troubles }));
process.send?.('begun');
