// `Streams` over calls as data: every engine is this plus a way to carry out one call and a way to listen. What an engine
// answers is taken as it is.
import { checkStreamCall, type OwnedSession, type Range, type Reply, type Start, type StreamCall } from './stream-calls.ts';
import type { Append, Appended, Claim, Claimed, Enter, Keep, Leave, Page, PresentMember, Streams, Tail, TailListener } from './streams.ts';
import type { Position } from '../protocol/frames.ts';

export interface StreamPorts {
  /** Carries out a call that keeps to the limits. */
  readonly call: (call: StreamCall) => Promise<unknown>;
  /** Resolves when the listener will be told. */
  readonly tail: (stream: string, listener: TailListener) => Promise<Tail>;
}

export class PortStreams implements Streams {
  readonly #ports: StreamPorts;

  constructor(ports: StreamPorts) {
    this.#ports = ports;
  }

  append(append: Append): Promise<Appended> {
    return this.#ask({ do: 'append', append });
  }

  read(stream: string, start: Start, limit: number): Promise<Page> {
    return this.#ask({ do: 'read', stream, start, limit });
  }

  tops(streams: readonly string[], metaMs: number): Promise<readonly Position[]> {
    return this.#ask({ do: 'tops', streams, metaMs });
  }

  async tail(stream: string, listener: TailListener): Promise<Tail> {
    checkStreamCall({ do: 'tail', streams: [stream] });
    return this.#ports.tail(stream, listener);
  }

  claim(claim: Claim): Promise<Claimed> {
    return this.#ask({ do: 'claim', claim });
  }

  keepSessions(sessions: readonly OwnedSession[], ttlMs: number): Promise<readonly string[]> {
    return this.#ask({ do: 'keepSessions', sessions, ttlMs });
  }

  async endSession(session: string, owner: number): Promise<void> {
    await this.#ask({ do: 'endSession', session, owner });
  }

  skipNumbers(session: string, owner: number, stream: string, range: Range): Promise<Appended> {
    return this.#ask({ do: 'skipNumbers', session, owner, stream, range });
  }

  saveReply(session: string, owner: number, reply: Reply): Promise<boolean> {
    return this.#ask({ do: 'saveReply', session, owner, reply });
  }

  findReply(session: string, number: number): Promise<string | null> {
    return this.#ask({ do: 'findReply', session, number });
  }

  enter(enter: Enter): Promise<boolean> {
    return this.#ask({ do: 'enter', enter });
  }

  leave(leave: Leave): Promise<boolean> {
    return this.#ask({ do: 'leave', leave });
  }

  present(stream: string, keep: Keep): Promise<readonly PresentMember[]> {
    return this.#ask({ do: 'present', stream, keep });
  }

  lapse(stream: string, keep: Keep): Promise<number> {
    return this.#ask({ do: 'lapse', stream, keep });
  }

  /** Rejects, and never throws, when the arguments are beyond the limits. */
  #ask<T>(call: StreamCall): Promise<T> {
    try {
      checkStreamCall(call);
    } catch (error) {
      return Promise.reject(error);
    }
    // Handed on as it is: another promise around it is what a node of many sessions would feel.
    return this.#ports.call(call) as Promise<T>;
  }
}
