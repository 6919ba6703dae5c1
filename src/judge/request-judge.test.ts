// Planted histories of requests: the judge finds each fault that was planted, once, and nothing in those that are as promised.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { EngineKeeps } from './judge.ts';
import { isAnsweredWell, RequestJudge, type RequestVerdict, type Run } from './request-judge.ts';

const ALICE = 1;

/** Requests of one client. */
class Scene {
  readonly judge: RequestJudge;

  constructor(keeps: EngineKeeps = 'all') {
    this.judge = new RequestJudge(keeps);
  }

  ask(number = 1, sent = true): this {
    this.judge.hear({ kind: 'asked', client: ALICE, number, sent });
    return this;
  }

  link(): this {
    this.judge.hear({ kind: 'linked', client: ALICE });
    return this;
  }

  /** What the handler's node did of it: all, unless it did not get so far. */
  run(execution: number, { until = 'stored', number = 1 }: { until?: 'ran' | 'storing' | 'stored'; number?: number } = {}): this {
    for (const kind of ['ran', 'storing', 'stored'] as const) {
      this.judge.hear({ kind, client: ALICE, number, execution });
      if (kind === until) break;
    }
    return this;
  }

  answer(execution: number, { number = 1, reply = { client: ALICE, number, execution } }: { number?: number; reply?: Run | null } = {}): this {
    this.judge.hear({ kind: 'answered', client: ALICE, number, reply });
    return this;
  }

  end(kind: 'notKnown' | 'undecided' | 'failed'): this {
    this.judge.hear({ kind, client: ALICE, number: 1 });
    return this;
  }

  /** Counts that are not those of one request, sent once and answered. */
  found(): Partial<RequestVerdict> {
    const { asked: _, answered: __, firstFault: ___, ...rest } = this.judge.verdict();
    return Object.fromEntries(Object.entries(rest).filter(([, count]) => count !== 0));
  }
}

test('asked, run, stored, answered: nothing to say, in whichever order clients and nodes are heard', () => {
  assert.deepEqual(new Scene().ask().run(7).answer(7).found(), {});
  const scene = new Scene().run(7).ask().answer(7);
  assert.deepEqual(scene.found(), {});
  const { asked, answered, firstFault } = scene.judge.verdict();
  assert.deepEqual([asked, answered, firstFault, scene.judge.open], [1, 1, null, 0]);
});

test('asked again and answered from the store, also where the node died before it could say that it was stored', () => {
  assert.deepEqual(new Scene().ask().run(7).link().answer(7).found(), { sentAgain: 1 });
  assert.deepEqual(new Scene().ask().run(7, { until: 'storing' }).link().answer(7).found(), { sentAgain: 1 });
});

test('run again after the node died or lost the session: as promised, and counted', () => {
  for (const until of ['ran', 'storing'] as const) {
    assert.deepEqual(new Scene().ask().run(7, { until }).link().run(8).answer(8).found(), { sentAgain: 1, runAgain: 1 });
  }
});

test('twice: run again although the reply of the first run was stored', () => {
  const scene = new Scene().ask().run(7).link().run(8).answer(8);
  assert.deepEqual(scene.found(), { sentAgain: 1, runAgain: 1, twice: 1 });
  assert.match(scene.judge.verdict().firstFault ?? '', /request 1 of client 1: twice\nsent 2 times; ran: 7, 8; .* stored: 7, 8; answered by 8/);
  assert.ok(!isAnsweredWell(scene.judge.verdict()));
});

test('twice: the answer is not the one that was stored', () => {
  assert.deepEqual(new Scene().ask().run(7).link().run(8, { until: 'storing' }).answer(8).found(), { sentAgain: 1, runAgain: 1, twice: 1 });
});

test('an engine that lost the stored reply lets the handler run again: forgotten, no fault', () => {
  const scene = new Scene('not all').ask().run(7).link().run(8).answer(8);
  assert.deepEqual(scene.found(), { sentAgain: 1, runAgain: 1, forgotten: 1 });
  assert.ok(isAnsweredWell(scene.judge.verdict()));
});

test('too often: a handler ran twice for a request that was sent once, or was never asked', () => {
  assert.deepEqual(new Scene().ask().run(7, { until: 'ran' }).run(8).answer(8).found(), { runAgain: 1, tooOften: 1 });
  assert.deepEqual(new Scene().run(7).found(), { tooOften: 1 });
});

test('what is asked without a link goes out with the next one, once', () => {
  assert.deepEqual(new Scene().ask(1, false).link().run(7).answer(7).found(), {});
  assert.deepEqual(new Scene().ask(1, false).run(7).found(), { tooOften: 1 });
});

test('a link after the answer sends nothing again', () => {
  assert.deepEqual(new Scene().ask().run(7).answer(7).link().run(8).found(), { runAgain: 1, twice: 1, tooOften: 1 });
});

test('unstored: answered with a reply that nobody was going to store', () => {
  assert.deepEqual(new Scene().ask().run(7, { until: 'ran' }).answer(7).found(), { unstored: 1 });
});

test("foreign: the reply to another request, to another client's, one that no handler computed, or none at all", () => {
  const replies = [{ client: ALICE, number: 2, execution: 7 }, { client: 2, number: 1, execution: 7 }, { client: ALICE, number: 1, execution: 9 }, null];
  for (const reply of replies) assert.deepEqual(new Scene().ask().run(7).answer(7, { reply }).found(), { foreign: 1 });
});

test('not known and undecided are counted, open is neither, and failed is a fault', () => {
  assert.deepEqual(new Scene().ask().run(7, { until: 'storing' }).end('notKnown').found(), { notKnown: 1 });
  assert.deepEqual(new Scene().ask().end('undecided').found(), { undecided: 1 });
  const open = new Scene().ask().run(7);
  assert.deepEqual([open.found(), open.judge.open], [{}, 1]);
  const failed = new Scene().ask().end('failed').judge.verdict();
  assert.deepEqual([failed.failed, isAnsweredWell(failed)], [1, false]);
  assert.match(failed.firstFault ?? '', /request 1 of client 1: failed/);
});
