// The numbers of what a client publishes: asked for again where it matters, told once, and never lost between an attempt and its answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import type { Append, Appended } from '../../engine/streams.ts';
import type { ClientFrame, ServerFrame } from '../../protocol/frames.ts';
import { jsonCodec } from '../../protocol/json.ts';
import { readSessionsOptions } from './options.ts';
import { Session, type SessionHost } from './session.ts';

interface Attempt {
  readonly number: number;
  answer(appended: Appended): void;
  fail(): void;
}

/** A session that is open, and an engine that answers when the test says so. */
class Stage {
  readonly clock = new VirtualClock();
  readonly told: string[] = [];
  readonly attempts: Attempt[] = [];
  readonly #session: Session;

  constructor(authorize: () => boolean = () => true) {
    const { clock } = this;
    const attempt = (number: number): Promise<Appended> =>
      new Promise((resolve, reject) => {
        this.attempts.push({ number, answer: resolve, fail: () => reject(new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'gone')) });
      });
    const host = {
      settings: readSessionsOptions({ authorize }),
      clock,
      log: silentLog,
      flushSoon: (session: Session) => void clock.after(1, () => session.flush()),
      hub: { append: ({ author }: Append) => attempt(author.kind === 'session' ? author.number : 0) },
      skip: (_: Session, __: string, { to }: { readonly to: number }) => attempt(to),
    } as unknown as SessionHost;
    const packer = { pack: (frames: readonly ServerFrame[]) => (this.told.push(...frames.map(inWords)), new Uint8Array()) };
    this.#session = new Session({ codec: jsonCodec, packer, write() {}, close() {}, buffered: () => 0, hold() {}, release() {} }, host);
    this.#session.stage = 'open';
  }

  /** Of one WebSocket message. */
  publish(...numbers: readonly number[]): void {
    const frames = numbers.map((number): ClientFrame => ({ type: 'publish', topic: 't', number, payload: { json: '1' } }));
    this.#session.receive(jsonCodec.encode(frames));
  }

  /** What was told since the last call. */
  async news(): Promise<string[]> {
    await this.clock.advanceAsync(10);
    return this.told.splice(0);
  }
}

const inWords = (frame: ServerFrame): string => ('number' in frame ? `${frame.type} ${frame.number}` : frame.type);

test('what was dropped beyond a hole is asked for when an earlier attempt closes the hole', async () => {
  const stage = new Stage();
  stage.publish(1);
  stage.publish(1, 2);
  const [first, again] = stage.attempts;
  first.fail();
  assert.deepEqual(await stage.news(), ['expected 1']);
  stage.publish(3);
  again.answer({ kind: 'appended', epoch: 'e', offset: 1 });
  assert.deepEqual(await stage.news(), ['expected 2', 'ack 1']);
  stage.attempts[2].answer({ kind: 'appended', epoch: 'e', offset: 2 });
  assert.deepEqual(await stage.news(), ['expected 3', 'ack 2']);
  stage.publish(3);
  assert.equal(stage.attempts.at(-1)?.number, 3);
});

test('a refusal is told although the engine does not answer', async () => {
  const stage = new Stage(() => false);
  stage.publish(1);
  assert.deepEqual(await stage.news(), ['refused 1']);
});
