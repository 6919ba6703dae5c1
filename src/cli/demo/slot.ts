// The place of one server in the demo: its name and port stay, its process comes and goes.
import { EvenkeelError } from '../../core/errors.ts';
import { Event, rethrow, type Listen } from '../../core/event.ts';
import { Child, type Exit } from '../child.ts';
import type { Started, ToServer } from './messages.ts';

type ServerProcess = Child<ToServer, Started>;

type SlotState =
  | { readonly state: 'down' }
  | { readonly state: 'starting'; readonly child: ServerProcess }
  | { readonly state: 'up'; readonly child: ServerProcess }
  | { readonly state: 'draining'; readonly child: ServerProcess };

export class Slot {
  readonly id: string;
  readonly port: number;
  /** Where the balancer takes connections for this server alone. */
  readonly door: number | undefined;
  readonly #order: ToServer;
  readonly #ends = new Event<string>(rethrow);
  /** Told, with how it ended in words, whenever its process has ended. */
  readonly onEnd: Listen<string> = this.#ends.on;
  #state: SlotState = { state: 'down' };

  constructor(order: ToServer, door: number | undefined) {
    this.id = order.id;
    this.port = order.port;
    this.door = door;
    this.#order = order;
  }

  get state(): SlotState['state'] {
    return this.#state.state;
  }

  get pid(): number | null {
    return this.#state.state === 'down' ? null : this.#state.child.pid;
  }

  /** Resolves when the server listens. Throws at once when it runs already. */
  start(): Promise<void> {
    if (this.#state.state !== 'down') throw new EvenkeelError('EVENKEEL_LIMIT', `server ${this.id} must be down to be started, got ${this.state}`);
    return this.#start();
  }

  /** SIGKILL: no goodbye. Resolves when the process is gone. Throws at once when there is none. */
  kill(): Promise<void> {
    if (this.#state.state === 'down') throw new EvenkeelError('EVENKEEL_LIMIT', `server ${this.id} must run to be killed, got down`);
    return this.end();
  }

  /** Ends the process if there is one. */
  async end(): Promise<void> {
    const state = this.#state;
    if (state.state === 'down') return;
    state.child.kill('SIGKILL');
    await state.child.exited;
  }

  /** SIGTERM: the server empties itself and ends. */
  drain(): void {
    if (this.#state.state !== 'up') throw new EvenkeelError('EVENKEEL_LIMIT', `server ${this.id} must be up to be drained, got ${this.state}`);
    const { child } = this.#state;
    this.#state = { state: 'draining', child };
    child.kill('SIGTERM');
  }

  async #start(): Promise<void> {
    const child: ServerProcess = new Child(new URL('./server.js', import.meta.url));
    this.#state = { state: 'starting', child };
    const listens = new Promise<Started>((resolve) => void child.onMessage(resolve));
    void child.exited.then((exit) => {
      this.#state = { state: 'down' };
      this.#ends.emit(inWords(exit));
    });
    child.send(this.#order);
    const started = await Promise.race([listens, child.exited]);
    if (!('kind' in started)) throw new EvenkeelError('EVENKEEL_LIMIT', `server ${this.id} ended while it started (${started.signal ?? started.code})`);
    if (started.kind === 'failed') {
      child.kill();
      throw new EvenkeelError('EVENKEEL_PORT_TAKEN', `server ${this.id} must listen on port ${this.port}: ${started.reason}`);
    }
    // Somebody may have killed it meanwhile.
    if (this.#state.state === 'starting') this.#state = { state: 'up', child };
  }
}

function inWords({ code, signal }: Exit): string {
  if (signal === 'SIGKILL') return 'was killed (SIGKILL)';
  if (signal !== null) return `was ended by ${signal}`;
  return code === 0 ? 'is empty and has ended' : `ended with exit code ${code}`;
}
