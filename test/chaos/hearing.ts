// What is heard of nodes and clients, brought before the judges: of streams (inboxes among them), of requests and of
// presence.
import { readNotes } from '../../src/cli/swarm/notes.ts';
import { Judge, type EngineKeeps } from '../../src/judge/judge.ts';
import { PresenceJudge } from '../../src/judge/presence-judge.ts';
import { RequestJudge } from '../../src/judge/request-judge.ts';
import type { FromClients, NodeEvent } from './messages.ts';

export class Hearing {
  readonly streams: Judge;
  readonly requests: RequestJudge;
  readonly presence: PresenceJudge;
  /** Messages that nodes sent to inboxes, and those of which they died, or could not know, whether they took effect. */
  readonly sends = { sent: 0, acknowledged: 0, undecided: 0, refused: 0 };

  constructor(keeps: EngineKeeps) {
    this.streams = new Judge(keeps);
    this.requests = new RequestJudge(keeps);
    this.presence = new PresenceJudge(keeps);
  }

  hearNode(event: NodeEvent): void {
    if (event.kind === 'sent') {
      const { stream, publisher, number } = event.sent;
      this.sends.sent++;
      this.streams.send(stream, publisher, number);
    } else if (event.kind === 'settled') {
      const { sent, outcome } = event;
      this.sends[outcome]++;
      this.streams.settle(sent.stream, sent.publisher, { number: sent.number, outcome });
    } else this.requests.hear(event);
  }

  hearClients({ notes, requests, presence }: FromClients): void {
    readNotes(notes, this.streams);
    for (const event of requests) this.requests.hear(event);
    for (const event of presence) this.presence.hear(event);
  }
}
