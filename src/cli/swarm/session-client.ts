// One client with a session, as the SDK makes it: it follows the topic of its group, publishes there at each turn, and notes
// what it sends and gets for the judge. Reconnecting, sending again and moving are the SDK's business.
import type { ClientState } from '../../client/node/index.ts';
import type { Client, ClientPorts } from './client.ts';
import type { Notebook } from './notes.ts';
import { Witness } from './witness.ts';

/** Which clients share a topic. */
export interface Groups {
  /** Of this run, so that no other run's messages are among ours. */
  readonly run: string;
  /** Number of the first client of this process in the whole swarm. */
  readonly first: number;
  readonly perTopic: number;
}

export interface SessionClientOptions {
  readonly url: string;
  /** Number in the whole swarm. */
  readonly name: number;
  readonly groups: Groups;
  readonly notebook: Notebook;
}

/** Messages of one client that may wait for their acknowledgement: a turn beyond it is passed over. */
const UNDER_WAY = 100;

export class SessionClient implements Client {
  readonly #options: SessionClientOptions;
  readonly #ports: ClientPorts;
  readonly #stream: number;
  #witness: Witness | null = null;
  #underWay = 0;
  #connected = false;

  constructor(options: SessionClientOptions, ports: ClientPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#stream = Math.floor(options.name / options.groups.perTopic);
  }

  turn(): void {
    this.#witness ??= this.#come();
    // Nobody may miss the first message of a group because it was sent before anybody followed.
    if (this.#witness.isThere && this.#underWay < UNDER_WAY) void this.#publish(this.#witness);
  }

  check(): void {
    // The SDK keeps its own deadlines.
  }

  stop(): void {
    this.#witness?.close();
  }

  #come(): Witness {
    const { url, name, groups, notebook } = this.#options;
    const { clock, random } = this.#ports;
    const topicOf = (stream: number): string => `swarm/${groups.run}/${stream}`;
    const witness = new Witness({ client: { url, clock, random }, name, notebook, topicOf });
    witness.client.onState((state) => this.#follow(state));
    witness.subscribe(this.#stream);
    return witness;
  }

  async #publish(witness: Witness): Promise<void> {
    const { account, clock } = this.#ports;
    const since = clock.now();
    this.#underWay++;
    account.requests++;
    account.sent++;
    const outcome = await witness.publish(this.#stream);
    this.#underWay--;
    if (outcome === 'acknowledged') account.answered(clock.now() - since);
    else account.failed(outcome);
  }

  #follow(state: ClientState): void {
    const { account } = this.#ports;
    if (state.kind === 'connecting' || (state.kind === 'moving' && state.stage === 'opening')) account.attempts++;
    // The reason of a wait begins with the close code.
    if (state.kind === 'waiting') {
      account.closed(Number.parseInt(state.reason, 10));
      if (!this.#connected) account.notConnected(`close ${state.reason}`.trimEnd());
    }
    if (state.kind === 'closed') account.closed(state.code);
    const connected = state.kind === 'open' || state.kind === 'moving';
    if (connected !== this.#connected) account.connected += connected ? 1 : -1;
    this.#connected = connected;
  }
}
