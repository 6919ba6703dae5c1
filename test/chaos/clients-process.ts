// A process full of clients that follow some streams each, publish on one, and note what they see. Now and then one leaves a
// stream and comes back.
import { followParent, tellParent } from '../../src/cli/parent.ts';
import { Notebook } from '../../src/cli/swarm/notes.ts';
import { Rounds } from '../../src/cli/swarm/rounds.ts';
import { Witness } from '../../src/cli/swarm/witness.ts';
import { below } from '../../src/core/random.ts';
import type { Timer } from '../../src/core/clock.ts';
import { realClock } from '../../src/host/clock.ts';
import { realRandom } from '../../src/host/random.ts';
import { INBOX } from '../../src/protocol/frames.ts';
import { jsonCodec } from '../../src/protocol/json.ts';
import { protoCodec } from '../../src/protocol/proto.ts';
import type { PresenceEvent } from '../../src/judge/presence-judge.ts';
import type { RequestEvent } from '../../src/judge/request-judge.ts';
import type { Attendance } from '../../src/judge/attendance.ts';
import { Asker } from './asker.ts';
import { Attendee } from './attendee.ts';
import { userOf } from './sending.ts';
import type { ClientsOrder, FromClients, ToClients } from './messages.ts';

const TELL_MS = 100;
const LEAVE_MS = 250;
const AWAY_MS = 400;
/** Messages of one client that may be under way. */
const UNDER_WAY = 50;
/** One client in so many follows who comes and goes. */
const FOLLOWERS = 8;
const WHO_MS = 500;

const notebook = new Notebook();
let heard: RequestEvent[] = [];
let presence: PresenceEvent[] = [];
let attendance: Attendance | null = null;
const troubles: Record<string, number> = {};
const trouble = (what: string): void => void (troubles[what] = (troubles[what] ?? 0) + 1);
const witnesses: {
  readonly witness: Witness;
  readonly asker: Asker;
  readonly attendee: Attendee;
  readonly publishesOn: number;
  underWay: number;
  away: boolean;
}[] = [];
let moved = 0;
let turns: readonly Rounds[] = [];
let leaving: Timer | null = null;
let follows = 1;

followParent((order) => {
  const message = order as ToClients;
  if (message.kind === 'start') start(message);
  else if (message.kind === 'rest') {
    for (const rounds of turns) rounds.stop();
    leaving?.cancel();
    realClock.after(WHO_MS, () => void who());
  } else turns = [perSecond(message.rate, publish), perSecond(message.requests, (member) => witnesses[member].asker.ask())];
});

function perSecond(rate: number, turn: (member: number) => void): Rounds {
  return new Rounds({ clock: realClock, members: witnesses.length, intervalMs: 1_000 / rate, rampMs: 1_000 / rate, turn });
}

function start(order: ClientsOrder): void {
  const { url, run, clients, streams, users } = order;
  follows = order.follows;
  for (let name = 0; name < clients; name++) {
    // Half of them speak JSON, half the binary form.
    const codec = name % 2 === 0 ? jsonCodec : protoCodec;
    const backoff = { baseMs: 100, capMs: 2_000 };
    const inbox = users === 0 ? null : streams + (name % users);
    const client = { url, codec, backoff, connectTimeoutMs: 3_000, token: inbox === null ? undefined : userOf(inbox) };
    const witness = new Witness({ client, name, notebook, topicOf: (stream) => (stream === inbox ? INBOX : `chaos/${run}/${stream}`), padding: 40 });
    for (let i = 0; i < follows; i++) witness.subscribe((name + i) % streams);
    if (inbox !== null) witness.subscribe(inbox);
    let moving = false;
    witness.client.onState((state) => {
      if (state.kind === 'moving') moving ||= state.stage === 'settling';
      else if (moving) {
        moving = false;
        moved++;
      }
      if (state.kind === 'waiting' || state.kind === 'closed') trouble(`${state.kind}: ${state.reason.slice(0, 60)}`);
    });
    witness.client.onUndecided(({ kind }) => trouble(`undecided ${kind}`));
    witness.client.onLost(() => trouble('lost by the client'));
    const asker = new Asker(witness.client, name, (event) => void heard.push(event));
    const following = name % FOLLOWERS === 0 ? { name, hear: (event: PresenceEvent) => void presence.push(event) } : null;
    const attendee = new Attendee(witness.client, `chaos/${run}/presence`, following);
    witnesses.push({ witness, asker, attendee, publishesOn: name % streams, underWay: 0, away: false });
  }
  realClock.every(TELL_MS, tell);
  realClock.every(WHO_MS, askWho);
  leaving = realClock.every(LEAVE_MS, () => leave(streams));
}

function publish(member: number): void {
  const one = witnesses[member];
  if (one.underWay >= UNDER_WAY) return;
  one.underWay++;
  void one.witness.publish(one.publishesOn).then(() => one.underWay--);
}

function leave(streams: number): void {
  const one = witnesses[below(realRandom, witnesses.length)];
  if (turns.length > 0) witnesses[below(realRandom, witnesses.length)].attendee.turn();
  // Not before it has been there once: the first message of a stream must find all of them.
  if (turns.length === 0 || one.away || !one.witness.isThere) return;
  one.away = true;
  const stream = (one.publishesOn + below(realRandom, Math.min(streams, follows))) % streams;
  one.witness.unsubscribe(stream);
  realClock.after(below(realRandom, AWAY_MS), () => {
    one.witness.subscribe(stream);
    one.away = false;
  });
}

/** Whoever follows who comes and goes asks all the time. */
function askWho(): void {
  for (const { attendee } of witnesses) if (attendee.follows) void attendee.ask();
}

/** Asks all over again, as it takes a while until nobody is taken for present any more who is not. */
async function who(): Promise<void> {
  const attendees = witnesses.map(({ attendee }) => attendee);
  const answers = await Promise.all(attendees.map((attendee) => attendee.ask()));
  const isList = (names: readonly string[] | null): names is readonly string[] => names !== null;
  attendance = {
    here: attendees.map(({ name }) => name).filter((name) => name !== null),
    answered: answers.filter(isList),
    followed: attendees.map(({ followed }) => followed).filter(isList),
  };
  realClock.after(WHO_MS, () => void who());
}

function tell(): void {
  tellParent({
    kind: 'report',
    notes: notebook.take(),
    requests: heard,
    presence,
    attendance,
    there: witnesses.filter(({ witness, away }) => !away && witness.isThere).length,
    connected: witnesses.filter(({ witness }) => ['open', 'moving'].includes(witness.client.state.kind)).length,
    moved,
    troubles: { ...troubles },
  } satisfies FromClients);
  heard = [];
  presence = [];
}
