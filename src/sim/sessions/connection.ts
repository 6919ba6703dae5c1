// A virtual WebSocket between a client and a node: both ends as production code sees them, and the ways in which it breaks.
import type { VirtualClock } from '../../core/clock.ts';
import type { Link, LinkEvents } from '../../client/link.ts';
import type { Codec } from '../../protocol/frames.ts';
import type { SessionLink } from '../../server/sessions/link.ts';
import { Pipe } from './pipe.ts';
import type { Process } from './process.ts';

type Item =
  | { readonly kind: 'opened' }
  | { readonly kind: 'message'; readonly data: string | Uint8Array }
  | { readonly kind: 'close'; readonly code: number; readonly reason: string };

/** What the node does with its end. */
export interface Served {
  receive(message: string | Uint8Array): void;
  drained(): void;
  closed(code: number): void;
}

export interface ConnectionPorts {
  readonly clock: VirtualClock;
  readonly delayMs: () => number;
  readonly codec: Codec;
  readonly client: Process;
  readonly node: Process;
  readonly events: LinkEvents;
}

/** Which part of what was under way arrives, and when each side notices (null: never). */
export interface Break {
  readonly upPart: number;
  readonly downPart: number;
  readonly clientMs: number | null;
  readonly nodeMs: number | null;
}

/** As in `ws`: who closes waits so long for the other's answer. */
const CLOSE_MS = 30_000;

export class Connection implements Link {
  readonly link: SessionLink;
  readonly #ports: ConnectionPorts;
  readonly #up: Pipe<Item>;
  readonly #down: Pipe<Item>;
  #served: Served | null = null;
  #client: 'open' | 'over' = 'open';
  #node: 'open' | 'closing' | 'over' = 'open';

  constructor(ports: ConnectionPorts) {
    this.#ports = ports;
    const { clock, delayMs, codec, client, node } = ports;
    this.#up = new Pipe({ clock, delayMs, deliver: (item) => node.run(() => this.#atNode(item)) });
    const empty = (): void => node.run(() => this.#node === 'open' && this.#served?.drained());
    this.#down = new Pipe({ clock, delayMs, deliver: (item) => client.run(() => this.#atClient(item)), empty });
    const decoder = new TextDecoder();
    const encoder = new TextEncoder();
    this.link = {
      codec,
      packer: { pack: (frames) => bytesOf(codec.encode(frames), encoder) },
      write: (packed) => {
        if (this.#node !== 'open') return;
        this.#down.send({ kind: 'message', data: codec.binary ? packed : decoder.decode(packed) }, packed.length);
      },
      close: (code, reason) => this.#closeAtNode(code, reason),
      buffered: () => this.#down.bytes,
      hold: () => this.#up.hold(),
      release: () => this.#up.release(),
    };
  }

  /** Whether anything still goes through it. */
  get isOpen(): boolean {
    return this.#client === 'open' && this.#node === 'open';
  }

  /** The node took it. */
  accept(served: Served): void {
    this.#served = served;
    this.#down.send({ kind: 'opened' });
  }

  /** The node did not take it: nobody listens, or (null) nothing answers at all. */
  refuse(afterMs: number | null): void {
    this.#node = 'over';
    this.#up.break(0, null);
    this.#down.break(0, afterMs === null ? null : { item: BROKEN, afterMs });
  }

  /** From the client. */
  send(data: string | Uint8Array): void {
    if (this.#client === 'open') this.#up.send({ kind: 'message', data });
  }

  /** From the client. */
  close(code: number): void {
    if (this.#client === 'over') return;
    this.#client = 'over';
    this.#up.send({ kind: 'close', code, reason: '' });
  }

  break({ upPart, downPart, clientMs, nodeMs }: Break): void {
    this.#up.break(upPart, nodeMs === null ? null : { item: BROKEN, afterMs: nodeMs });
    this.#down.break(downPart, clientMs === null ? null : { item: BROKEN, afterMs: clientMs });
  }

  /** Nothing arrives for a while, on either side. */
  stand(forMs: number): void {
    this.#up.stand(forMs);
    this.#down.stand(forMs);
  }

  /** The client reads nothing for a while. */
  readSlowly(forMs: number): void {
    this.#down.stand(forMs);
  }

  #closeAtNode(code: number, reason: string): void {
    if (this.#node !== 'open') return;
    this.#node = 'closing';
    this.#down.send({ kind: 'close', code, reason });
    this.#ports.node.after(CLOSE_MS, () => this.#endAtNode(1006));
  }

  #endAtNode(code: number): void {
    if (this.#node === 'over') return;
    this.#node = 'over';
    this.#served?.closed(code);
  }

  #atNode(item: Item): void {
    // What a client says after our Close was not acknowledged, so it says it again on its next link.
    if (item.kind === 'message' && this.#node === 'open') this.#served?.receive(item.data);
    else if (item.kind === 'close') this.#endAtNode(item.code);
  }

  #atClient(item: Item): void {
    if (this.#client === 'over') return;
    const { events } = this.#ports;
    if (item.kind === 'opened') events.opened();
    else if (item.kind === 'message') events.message(item.data);
    else {
      this.#client = 'over';
      this.#up.send(item);
      events.closed({ code: item.code, reason: item.reason });
    }
  }
}

const BROKEN: Item = { kind: 'close', code: 1006, reason: '' };

const bytesOf = (message: string | Uint8Array, encoder: InstanceType<typeof TextEncoder>): Uint8Array =>
  typeof message === 'string' ? encoder.encode(message) : message;
