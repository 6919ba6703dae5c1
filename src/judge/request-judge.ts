// Says whether requests were answered as promised: fed with what clients asked and got, and with what handlers did, it counts
// replies that nobody computed, and handlers that ran although the reply of an earlier run was stored.
import type { EngineKeeps } from './judge.ts';

/** One run of a handler for a request. `execution` is a number that no other run has; the reply carries all three. */
export interface Run {
  readonly client: number;
  readonly number: number;
  readonly execution: number;
}

/** What was seen of requests. A client numbers its requests from 1; its events come in their order, those of others in any. */
export type RequestEvent =
  /** `sent`: there was a link, so that it went out at once. */
  | { readonly kind: 'asked'; readonly client: number; readonly number: number; readonly sent: boolean }
  /** The client has another link: whatever is not answered goes out, again or for the first time, or is undecided right after. */
  | { readonly kind: 'linked'; readonly client: number }
  /** `reply`: what the reply says of itself; null where it cannot be read. */
  | { readonly kind: 'answered'; readonly client: number; readonly number: number; readonly reply: Run | null }
  /** Told that nobody knows whether it was done; that it cannot be decided any more; anything else. */
  | { readonly kind: 'notKnown' | 'undecided' | 'failed'; readonly client: number; readonly number: number }
  /** A handler began; its reply is about to be stored; the engine said that it is. */
  | ({ readonly kind: 'ran' | 'storing' | 'stored' } & Run);

export interface RequestVerdict {
  readonly asked: number;
  readonly answered: number;
  readonly notKnown: number;
  readonly undecided: number;
  /** Sent on more than one link. */
  readonly sentAgain: number;
  /** Runs of handlers beyond the first of each request. */
  readonly runAgain: number;
  /** Run again because the engine lost the reply that it had stored; 0 where it keeps all. */
  readonly forgotten: number;
  /** Faults. Answered with the reply to something else, or with what no handler computed. */
  readonly foreign: number;
  /** Answered before the reply was to be stored. */
  readonly unstored: number;
  /** Two runs were stored, or the answer is not the stored one. */
  readonly twice: number;
  /** A handler ran more often than the request was sent. */
  readonly tooOften: number;
  /** Answered with a code that the handler did not give, or rejected. */
  readonly failed: number;
  /** The first fault, with what is known of the request; null when there was none. */
  readonly firstFault: string | null;
}

/** Whether the verdict shows a fault. */
export function isAnsweredWell({ foreign, unstored, twice, tooOften, failed }: RequestVerdict): boolean {
  return foreign + unstored + twice + tooOften + failed === 0;
}

type Fate = 'answered' | 'notKnown' | 'undecided' | 'failed';

interface Request {
  sent: number;
  fate: Fate | null;
  reply: Run | null;
  /** Executions. */
  readonly ran: number[];
  readonly storing: number[];
  readonly stored: number[];
}

export class RequestJudge {
  readonly #keeps: EngineKeeps;
  readonly #clients = new Map<number, Map<number, Request>>();
  /** Requests that were asked and not answered yet. */
  readonly #waiting = new Map<number, Set<Request>>();

  constructor(keeps: EngineKeeps = 'all') {
    this.#keeps = keeps;
  }

  hear(event: RequestEvent): void {
    const waiting = this.#waitingOf(event.client);
    if (event.kind === 'linked') {
      for (const request of waiting) request.sent++;
      return;
    }
    const request = this.#request(event.client, event.number);
    switch (event.kind) {
      case 'asked':
        request.sent += Number(event.sent);
        waiting.add(request);
        return;
      case 'ran':
      case 'storing':
      case 'stored':
        request[event.kind].push(event.execution);
        return;
      default:
        request.fate = event.kind;
        if (event.kind === 'answered') request.reply = event.reply;
        waiting.delete(request);
    }
  }

  /** Asked, and nobody knows yet what became of it. */
  get open(): number {
    return [...this.#waiting.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** The verdict on all that was told so far; final when nothing is on its way any more. */
  verdict(): RequestVerdict {
    const counts = { answered: 0, notKnown: 0, undecided: 0, failed: 0, sentAgain: 0, runAgain: 0, forgotten: 0 };
    const faults = { foreign: 0, unstored: 0, twice: 0, tooOften: 0 };
    let asked = 0;
    let firstFault: string | null = null;
    for (const [client, requests] of this.#clients) {
      for (const [number, request] of requests) {
        asked++;
        if (request.fate !== null) counts[request.fate]++;
        if (request.sent > 1 && request.fate !== 'undecided') counts.sentAgain++;
        counts.runAgain += Math.max(0, request.ran.length - 1);
        for (const fault of faultsOf(client, number, request)) {
          if (fault === 'twice' && this.#keeps === 'not all') counts.forgotten++;
          else {
            if (fault !== 'failed') faults[fault]++;
            firstFault ??= story(client, number, request, fault);
          }
        }
      }
    }
    return { asked, ...counts, ...faults, firstFault };
  }

  #request(client: number, number: number): Request {
    const requests = this.#clients.get(client) ?? new Map<number, Request>();
    this.#clients.set(client, requests);
    let request = requests.get(number);
    if (request === undefined) {
      request = { sent: 0, fate: null, reply: null, ran: [], storing: [], stored: [] };
      requests.set(number, request);
    }
    return request;
  }

  #waitingOf(client: number): Set<Request> {
    const waiting = this.#waiting.get(client) ?? new Set();
    this.#waiting.set(client, waiting);
    return waiting;
  }
}

type Fault = 'foreign' | 'unstored' | 'twice' | 'tooOften' | 'failed';

function faultsOf(client: number, number: number, { sent, fate, reply, ran, storing, stored }: Request): Fault[] {
  const faults: Fault[] = [];
  const results = new Set(stored);
  if (fate === 'failed') faults.push('failed');
  if (fate === 'answered') {
    const isOwn = reply !== null && reply.client === client && reply.number === number && ran.includes(reply.execution);
    if (!isOwn) faults.push('foreign');
    else if (!storing.includes(reply.execution)) faults.push('unstored');
    // A node may die between what the engine says and what is noted of it: so only another one that was noted tells.
    else if (results.size > 0) results.add(reply.execution);
  }
  if (results.size > 1) faults.push('twice');
  if (ran.length > sent) faults.push('tooOften');
  return faults;
}

function story(client: number, number: number, { sent, fate, reply, ran, storing, stored }: Request, fault: Fault): string {
  const answer = reply === null ? '' : ` by ${reply.execution} for request ${reply.number} of client ${reply.client}`;
  const runs = `ran: ${ran.join(', ')}; to be stored: ${storing.join(', ')}; stored: ${stored.join(', ')}`;
  return `request ${number} of client ${client}: ${fault}\nsent ${sent} times; ${runs}; ${fate ?? 'open'}${answer}`;
}
