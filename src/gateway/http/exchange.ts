// One request and its answer: finds the upstream, sends it the request as it comes in, tries another one where that is safe,
// and answers itself where nobody else does.
import type { Socket } from 'node:net';
import { countRefused, isRefused, type Ask, type Route, type Upstream } from '../ports.ts';
import type { Timeouts } from '../settings.ts';
import { isDecided, isOwn, plain, written, type GoOn, type OwnAnswer } from './answers.ts';
import { BodyPace } from './body-pace.ts';
import type { AnswerSink, Caller, House } from './caller.ts';
import { ending, handshake, writeTogether } from './forwarding.ts';
import { Framing } from './framing.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { bodyFault, isCall, isIdempotent, isLate, isTrouble, isWebSocket, keptBytes, pathOf } from './rules.ts';
import { sheds } from './shedding.ts';
import { stickyLine } from './sticky.ts';
import { Trials, TURN_AROUND_MS } from './trials.ts';
import { UpstreamLink, type Asker } from './upstream-link.ts';

type Stage =
  /** Somebody is asked what is to become of it. */
  | 'deciding'
  /** A connection to an upstream is being made. */
  | 'connecting'
  /** The upstream has the head of the request. */
  | 'waiting'
  /** The client has the head of the answer. */
  | 'answering'
  /** The client has all of the answer, but has not sent all of its request. */
  | 'replied'
  | 'over';

/** A body of at most this many bytes that is missing is on its way already. */
const SMALL_BODY = 16_384;

export class Exchange implements Asker {
  readonly head: RequestHead;
  readonly out: Socket;
  readonly sink: AnswerSink | null;
  extra = '';
  readonly #caller: Caller;
  readonly #house: House;
  #stage: Stage = 'deciding';
  #route: Route | null = null;
  #ask: Ask | null = null;
  #upstream: Upstream | null = null;
  #link: UpstreamLink | null = null;
  /** The head for an upstream, but for its last lines. */
  #start = '';
  /** null: nothing has failed yet. */
  #trials: Trials | null = null;
  readonly #body: Framing;
  /** What came of the body before there was a connection; a small one also afterwards, to be sent once more. */
  #held: Buffer | null = null;
  /** Some of the body was sent and is not here any more. */
  #bodyLost = false;
  #closes = false;
  #status = 0;
  #startedAt = 0;
  #latencyMs: number | null = null;
  /** null: there is no body. */
  readonly #pace: BodyPace | null;

  constructor(caller: Caller, head: RequestHead, house: House) {
    this.#caller = caller;
    this.head = head;
    this.out = caller.socket;
    this.sink = caller.sink;
    this.#house = house;
    this.#body = head.hasBody ? new Framing(head.length, head.chunked) : Framing.none;
    this.#pace = head.hasBody ? new BodyPace(head, this.#body) : null;
  }

  /** All of the request was read. */
  get isReceived(): boolean {
    return this.#body.isDone;
  }

  /** Also where so little is missing that it is on its way. */
  get isNearlyReceived(): boolean {
    return this.#body.left <= SMALL_BODY;
  }

  /** The request begins; its body, as far as it is here, lies in `bytes` from `from` on. Returns where the body's part ends. */
  open(bytes: Buffer, from: number): number {
    let end = from;
    if (!this.#body.isDone && from < bytes.length) {
      end = this.#body.cut(bytes, from, null);
      this.#pace?.took(end - from, this.#caller.connection.lastReadAt);
      this.#held = bytes.subarray(from, end);
    }
    const path = pathOf(this.head.target);
    const probe = path.startsWith('/evenkeel/') ? this.#house.ports.transport.probe(path) : null;
    if (probe !== null) this.#answer({ ...plain(probe.status, ''), body: probe.body });
    else this.#begin();
    return end;
  }

  /** More of the request's body. Returns where its part of `bytes` ends. */
  feed(bytes: Buffer): number {
    const end = this.#body.cut(bytes, 0, null);
    const { clock, limits } = this.#house.ports;
    this.#pace?.took(end, clock.now());
    const fault = bodyFault(this.head, this.#body, limits);
    if (fault !== null) this.refuse(fault.status, fault.why, true);
    else {
      this.#pass(end === bytes.length ? bytes : bytes.subarray(0, end));
      if (this.#body.isDone && this.#stage === 'replied') this.#finish();
    }
    return end;
  }

  /** The client is gone. */
  abort(): void {
    if (this.#stage === 'over') return;
    this.#letGo('aborted');
    this.#stage = 'over';
  }

  resume(): void {
    this.#link?.resume();
  }

  drained(): void {
    if (!this.#body.isDone) this.#caller.resume();
  }

  opens(response: ResponseHead, must: boolean): boolean {
    const now = this.#house.ports.clock.now();
    this.#status = response.status;
    this.#latencyMs = now - this.#startedAt;
    if (this.#link !== null) this.#link.since = now;
    this.#closes = must || this.#pace?.isUnwanted === true || !this.head.keepAlive || this.#caller.isLast(this, response);
    this.#stage = 'answering';
    this.#forget();
    this.extra = stickyLine(this.#route?.group ?? null, this.#ask, this.#upstream, this.#caller.client);
    return this.#closes;
  }

  goesOn(): void {
    // An answer that tells of trouble is no good one, however long it is: its end says so.
    if (isTrouble(this.#status)) return;
    if (this.#latencyMs !== null) this.#upstream?.answered(this.#latencyMs);
    this.#latencyMs = null;
  }

  replied(): void {
    const link = this.#link;
    this.#upstream?.end(isTrouble(this.#status) ? 'failed' : 'ok', this.#latencyMs);
    this.#upstream = null;
    this.#stage = 'replied';
    if (this.#body.isDone) return this.#finish();
    // An answer before the end of the question: the upstream goes on reading if it keeps its connection, else we do.
    if (link?.keeps === true && !this.#closes) return;
    this.#drop();
    if (this.#closes) this.#finish();
    else this.#caller.resume();
  }

  failed(why: string): void {
    const link = this.#link;
    if (link === null) return;
    const { log, tally } = this.#house.ports;
    const { upstream } = link;
    const isStale = link.isReused || link.isRefused;
    this.#drop();
    if (this.#stage === 'replied') {
      if (!this.#body.isDone) this.#caller.resume();
      return;
    }
    const group = this.#route?.group;
    if (group && group.settings.retries > 0 && !link.heard && !this.#bodyLost && (isIdempotent(this.head.method) || link.isRefused)) {
      const trials = (this.#trials ??= new Trials(group));
      if (isStale && trials.redials(upstream)) {
        tally.retries++;
        return this.#dial(upstream);
      }
      // What was refused was not begun.
      if (!link.isRefused) trials.suspect(upstream);
      return this.#unreachable(upstream, new Error(why));
    }
    log.debug({ upstream: upstream.name, why }, 'an upstream failed in a request');
    this.#fail(502, 'the server behind did not answer properly');
  }

  /** Looks at the clock. */
  sweep(now: number, timeouts: Timeouts): void {
    const isPaused = this.#caller.isPaused;
    if (this.#isBodyLate(now, timeouts)) return this.refuse(408, 'the body of the request did not come in time', true);
    const link = this.#link;
    if (link === null || !link.isReady) return;
    if (!this.#body.isDone ? !isPaused : link.socket.isPaused()) return;
    if (now - Math.max(link.since, this.#pace?.readAt ?? 0, this.#startedAt) <= timeouts.upstreamReadMs) return;
    // Who has answered need not take the rest of the request, but must not keep the client from going on.
    if (this.#stage === 'replied') this.failed('it takes no more of the request');
    else this.#fail(504, 'the server behind did not answer in time');
  }

  #isBodyLate(now: number, timeouts: Timeouts): boolean {
    const isAwaited = !this.#caller.isPaused && this.#stage !== 'deciding';
    return this.#pace?.isLate(now, { since: this.#startedAt, isAwaited, isCall: isCall(this.head, this.#route) }, timeouts) === true;
  }

  /** Answers with an error. `closes`: what else comes on the connection cannot be relied on. */
  refuse(status: number, why: string, closes: boolean): void {
    if (this.#stage === 'over') return;
    const isHeard = this.#stage === 'answering' || this.#stage === 'replied';
    this.#letGo('aborted');
    if (isHeard) {
      this.#stage = 'over';
      this.#caller.cut();
      return;
    }
    this.#refuseWith(plain(status, why), closes);
  }

  /** The upstream failed. Where the answer began, the client must see that something is missing. */
  #fail(status: number, why: string): void {
    const wasAnswering = this.#stage === 'answering';
    this.#letGo('failed');
    if (wasAnswering) this.#caller.cut();
    else this.refuse(status, why, false);
  }

  #begin(): void {
    const { ports } = this.#house;
    const { limits, tally, router } = ports;
    this.#caller.serve();
    tally.requests++;
    this.#startedAt = this.#caller.connection.lastReadAt;
    const fault = bodyFault(this.head, this.#body, limits);
    if (fault !== null) return this.refuse(fault.status, fault.why, true);
    const route = router.route(this.head, this.#caller.client);
    if (route === null) return this.refuse(404, 'nothing is served under this name and path', false);
    this.#route = route;
    if (route.group !== null && sheds(route, router.priorities(route.group))) return this.#unavailable(503, 1);
    if (isDecided(route)) return this.#go(route, null);
    const { answers } = this.#house;
    if (answers === null) return this.refuse(501, 'this route cannot be served here', false);
    if (this.#held !== null) this.#caller.pause();
    answers.answer(this.head, route, this.#caller.client).then(
      (answer) => this.#decided(route, answer),
      (error: unknown) => {
        ports.log.error({ err: error }, 'a request could not be decided');
        this.refuse(503, 'the request could not be decided', false);
      },
    );
  }

  #decided(route: Route, answer: OwnAnswer | GoOn): void {
    if (this.#stage !== 'deciding') return;
    if (!isOwn(answer)) this.#go(route, answer.user);
    else if (answer.status >= 400) this.#refuseWith(answer, false);
    else this.#answer(answer);
  }

  #go(route: Route, user: string | null): void {
    const { ports, upgrader } = this.#house;
    const { head } = this;
    const { client, lines } = this.#caller;
    this.#start = head.kept + lines.of(head);
    if (upgrader !== null && isWebSocket(head)) {
      this.#stage = 'over';
      const { socket, connection } = this.#caller;
      const rest = this.#caller.leave();
      return upgrader.upgrade({ socket, client, connection, request: head, route, user, head: handshake(this.#start), rest });
    }
    if (route.group === null) return this.refuse(501, 'this route takes WebSockets only', false);
    this.#ask = ports.router.ask(route.group, head, client, user);
    this.#choose();
  }

  #choose(): void {
    const group = this.#route?.group;
    const ask = this.#ask;
    if (!group || ask === null) return;
    const trials = this.#trials;
    const choice = group.choose(trials === null ? ask : { key: ask.key, sticky: ask.sticky, without: trials.without });
    if (isRefused(choice)) return this.#unavailable(trials === null ? 503 : 502, choice.retryAfterS);
    choice.begin();
    this.#upstream = choice;
    const link = this.#house.pools.take(choice);
    if (link === null) return this.#dial(choice);
    this.#link = link;
    this.#send(link);
  }

  #dial(upstream: Upstream): void {
    const { ports } = this.#house;
    this.#stage = 'connecting';
    const answer = {
      ready: (): void => {
        if (this.#link === link) this.#send(link);
        else link.socket.destroy();
      },
      failed: (error: Error): void => {
        if (this.#link === link) this.#unreachable(upstream, error);
      },
    };
    const link = UpstreamLink.dial(upstream, this.#caller.client, { answer, ports });
    this.#link = link;
  }

  #unreachable(upstream: Upstream, error: Error): void {
    const { ports } = this.#house;
    ports.log.debug({ upstream: upstream.name, error: error.message }, 'an upstream could not be reached');
    this.#letGo('failed');
    const group = this.#route?.group;
    if (!group) return;
    const again = (this.#trials ??= new Trials(group)).failed(upstream);
    if (again === 'never') return this.#unavailable(isLate(error) ? 504 : 502, null);
    ports.tally.retries++;
    if (again === 'now') return this.#choose();
    this.#stage = 'connecting';
    ports.clock.after(TURN_AROUND_MS, () => this.#stage === 'connecting' && this.#choose());
  }

  #send(link: UpstreamLink): void {
    const { socket, upstream } = link;
    const held = this.#held;
    link.isReady = true;
    link.carry(this, this.#stage === 'connecting');
    this.#stage = 'waiting';
    const text = this.#start + ending(this.head, upstream.address, this.#route?.group?.settings.keepAlive.max === 0);
    if (held === null) socket.write(text, 'latin1');
    else writeTogether(socket, text, held);
    if (held !== null && held.length > keptBytes(this.head, this.#route)) this.#forget();
    if (this.#body.isDone) return;
    // It may have been held back until there was a connection.
    if (socket.writableNeedDrain) this.#caller.pause();
    else this.#caller.resume();
  }

  /** Hands on, keeps or throws away a part of the body. */
  #pass(bytes: Buffer): void {
    const link = this.#link;
    if (this.#stage === 'replied' && link === null) return;
    const isSent = link !== null && this.#stage !== 'connecting';
    if (isSent && (this.#held?.length ?? 0) + bytes.length > keptBytes(this.head, this.#route)) this.#forget();
    if (!this.#bodyLost) this.#held = this.#held === null ? bytes : Buffer.concat([this.#held, bytes]);
    if (!isSent || (!link.socket.write(bytes) && !this.#body.isDone)) this.#caller.pause();
  }

  #forget(): void {
    this.#held = null;
    this.#bodyLost = true;
  }

  #unavailable(status: number, retryAfterS: number | null): void {
    const fallback = this.#route?.group?.settings.fallback ?? null;
    if (fallback === null) this.#refuseWith(plain(status, 'no server can take this request now', retryAfterS), false);
    else this.#answer({ status: fallback.status, headers: [['Content-Type', fallback.contentType]], body: fallback.body });
  }

  #refuseWith(answer: OwnAnswer, closes: boolean): void {
    countRefused(this.#house.ports.tally, answer.status);
    this.#closes = closes;
    this.#answer(answer);
  }

  /** The gateway's own answer. */
  #answer(answer: OwnAnswer): void {
    const { head } = this;
    this.#forget();
    // A long rest of a body is not waited for.
    this.#closes ||= !head.keepAlive || this.#pace?.isUnwanted === true || !this.isNearlyReceived || this.#caller.isLast(this, null);
    const bodiless = head.method === 'HEAD';
    if (this.sink === null) this.out.write(written(answer, { bodiless, closes: this.#closes, old: head.minor === 0 }));
    else this.sink.answer(answer, bodiless);
    this.#stage = 'replied';
    if (this.#body.isDone || this.#closes) this.#finish();
    else this.#caller.resume();
  }

  /** Ends what the upstream has to do with it. */
  #letGo(outcome: 'failed' | 'aborted'): void {
    this.#upstream?.end(outcome, this.#latencyMs);
    this.#upstream = null;
    this.#drop();
  }

  /** Ends the connection to the upstream. */
  #drop(): void {
    const link = this.#link;
    this.#link = null;
    if (link === null) return;
    link.asker = null;
    link.socket.destroy();
  }

  #finish(): void {
    const link = this.#link;
    const group = this.#route?.group;
    this.#link = null;
    this.#stage = 'over';
    if (link !== null && group) this.#house.pools.give(link, group);
    this.#caller.over(this.#closes);
  }
}
