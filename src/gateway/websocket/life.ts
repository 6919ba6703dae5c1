// What is kept of a WebSocket for its next upstream, for as long as it lives: as little as another handshake needs.
import { subprotocols } from '../../protocol/frames.ts';
import { apart } from '../apart.ts';
import type { Ask } from '../ports.ts';
import { Replay } from './replay.ts';
import type { WebSocketSettings } from '../settings.ts';
import type { Way } from './ways.ts';

export class Life {
  readonly ask: Ask;
  /** What is known of the client beside its address and port. */
  readonly way: Way;
  /** As it goes upstream, without what each handshake says anew. */
  readonly head: string;
  /** The first messages of the client; null: none are said again. */
  replay: Replay | null;
  /** The sub-protocol of the first answer; the later ones must name the same. */
  protocol: string | undefined = undefined;
  /** How often another upstream took over. */
  reattached = 0;
  /** Since when there is no upstream that stayed, whole ms; -1: there was none yet. */
  outageSince = -1;
  /** When the present upstream took over, whole ms: a part of one would take an object. */
  attachedAt = 0;

  constructor(of: Pick<Life, 'ask' | 'way' | 'head'>, { replay, holdBytes }: Pick<WebSocketSettings, 'replay' | 'holdBytes'>) {
    this.ask = askApart(of.ask);
    this.way = of.way;
    this.head = of.head;
    this.replay = replay > 0 ? new Replay(replay, holdBytes) : null;
  }

  /** Whose messages the client speaks: ours, which can be told to say hello again, or nobody's that we know. */
  get kind(): 'plain' | 'json' | 'proto' {
    if (this.protocol === subprotocols.json) return 'json';
    return this.protocol === subprotocols.proto ? 'proto' : 'plain';
  }

  /** The client and its first upstream agreed on a sub-protocol. Of ours nothing is replayed: it says again itself what got lost. */
  speak(protocol: string | undefined): void {
    this.protocol = protocol === undefined ? undefined : apart(protocol);
    if (this.kind !== 'plain') this.replay = null;
  }
}

/** Most ask for nothing of their own, and share one object. */
function askApart(ask: Ask): Ask {
  const { key, sticky, without } = ask;
  if (key === null && sticky === null) return ask;
  return { key: key === null ? null : apart(key), sticky: sticky === null ? null : apart(sticky), without };
}
