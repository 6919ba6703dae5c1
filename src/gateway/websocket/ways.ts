// By which way clients came in: what is said of each of them beside its address and port. Nearly all of a gateway come the same way,
// and share one object for as long as their WebSockets live.
import type { ClientFacts } from '../ports.ts';

export type Way = Omit<ClientFacts, 'address' | 'port'>;

export class Ways {
  /** Of the last one: no map, so that names that clients choose fill nothing. */
  #last: Way | null = null;

  of({ localAddress, localPort, secure, serverName, trusted }: ClientFacts): Way {
    const last = this.#last;
    const isSame = last?.localAddress === localAddress && last.localPort === localPort && last.serverName === serverName;
    if (isSame && last.secure === secure && last.trusted === trusted) return last;
    this.#last = { localAddress, localPort, secure, serverName, trusted };
    return this.#last;
  }
}
