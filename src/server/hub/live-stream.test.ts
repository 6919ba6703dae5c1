// A stream as a node follows it: complete and in order for everybody, whatever the tail drops, however slowly somebody reads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { VirtualClock } from '../../core/clock.ts';
import { EvenkeelError } from '../../core/errors.ts';
import { silentLog } from '../../core/log.ts';
import { memoryEngine, MemoryStore } from '../../engine/memory.ts';
import type { Entry, Streams } from '../../engine/streams.ts';
import type { Position, ServerFrame, Start } from '../../protocol/frames.ts';
import { alwaysAsync } from '../../../test/property.ts';
import type { Follower, Packed, Packer } from './follower.ts';
import { LiveStream } from './live-stream.ts';

const KEEP = { count: 50, ageMs: 60_000, metaMs: 60_000 };

/** Hands frames through as they are. */
const frames = new Map<Packed, readonly ServerFrame[]>();
const packer: Packer = {
  pack(list) {
    const packed = new Uint8Array(1);
    frames.set(packed, list);
    return packed;
  },
};

/** Applies what it gets as a client does, and notes what it saw. */
class Reader implements Follower {
  readonly packer = packer;
  position: Position | null = null;
  seen: string[] = [];
  gaps = 0;
  errors: string[] = [];
  open = true;
  overruns = 0;

  ready(): boolean {
    return this.open;
  }

  overrun(): void {
    this.overruns++;
  }

  write(packed: Packed): void {
    for (const frame of frames.get(packed) ?? []) this.#take(frame);
  }

  tell(frame: ServerFrame): void {
    this.#take(frame);
  }

  #take(frame: ServerFrame): void {
    if (frame.type === 'subscribed') this.position = frame.position;
    else if (frame.type === 'gap') {
      this.position = frame.position;
      this.gaps++;
    } else if (frame.type === 'publication') {
      if (this.position === null || frame.offset !== this.position.offset + 1) this.errors.push(`${frame.offset} after ${this.position?.offset}`);
      this.position = { epoch: frame.epoch, offset: frame.offset };
      this.seen.push('json' in frame.payload ? frame.payload.json : '');
    }
  }
}

interface World {
  readonly stream: LiveStream;
  /** Whether the tail passes on, and whether the engine answers. */
  readonly faults: { tail: boolean; answers: boolean };
  readonly append: (text: string) => Promise<void>;
  readonly top: () => Promise<Position>;
  /** The engine begins anew, without memory. */
  readonly forget: () => Promise<void>;
  readonly follow: (start: Start) => Reader;
  readonly settle: (ms?: number) => Promise<void>;
}

const NAME = 'topic/a';
let names = 0;

function world(): World {
  const clock = new VirtualClock();
  const engineOf = (run: string): Streams => memoryEngine({ clock, store: new MemoryStore(clock, silentLog, run) }).streams;
  let streams = engineOf('run0');
  const faults = { tail: true, answers: true };
  const listeners: ((entry: Entry) => void)[] = [];
  const hear = (entry: Entry): void => void (faults.tail && listeners.forEach((listener) => listener(entry)));
  const answering = async <T>(call: () => Promise<T>): Promise<T> => {
    if (!faults.answers) throw new EvenkeelError('EVENKEEL_ENGINE_UNREACHABLE', 'the engine is away');
    return call();
  };
  const faulty = {
    read: (...given) => answering(() => streams.read(...given)),
    tops: (...given) => answering(() => streams.tops(...given)),
    tail: async (name, listener) => {
      listeners.push((entry) => listener(entry, name));
      return streams.tail(name, hear);
    },
  } as Partial<Streams> as Streams;
  const topOf = async (name: string): Promise<Position | undefined> => (await faulty.tops([name], 60_000))[0];
  const stream: LiveStream = new LiveStream(NAME, 'a', {
    streams: faulty,
    clock,
    log: silentLog,
    defer: queueMicrotask,
    top: topOf,
    hear: (entry) => stream.hear(entry),
  });
  return {
    stream,
    faults,
    async append(text) {
      await streams.append({ stream: NAME, data: `j${text}`, author: { kind: 'id', id: `${names++}` }, keep: KEEP });
    },
    async top() {
      const [top] = await streams.tops([NAME], 1_000);
      return top;
    },
    async forget() {
      streams = engineOf(`run${names++}`);
      await streams.tail(NAME, hear);
    },
    follow(start) {
      const reader = new Reader();
      void stream.follow(reader, start);
      return reader;
    },
    settle: (ms = 0) => clock.advanceAsync(ms),
  };
}

test('who follows from now on gets what comes from now on', async () => {
  const { append, follow, settle } = world();
  await append('before');
  const reader = follow({ history: 0 });
  await settle();
  await append('1');
  await append('2');
  await settle();
  assert.deepEqual(reader.seen, ['1', '2']);
  assert.deepEqual(reader.errors, []);
});

test('history begins so many entries before the end', async () => {
  const { append, follow, settle } = world();
  for (const text of ['1', '2', '3']) await append(text);
  const [two, all] = [follow({ history: 2 }), follow({ history: 10 })];
  await settle();
  await append('4');
  await settle();
  assert.deepEqual(
    [two.seen, all.seen],
    [
      ['2', '3', '4'],
      ['1', '2', '3', '4'],
    ],
  );
});

test('who comes back goes on where it stood, and is told when that is not possible any more', async () => {
  const { append, follow, settle, top } = world();
  for (let n = 1; n <= 80; n++) await append(`${n}`);
  const end = await top();
  const held = follow({ after: { ...end, offset: 60 } });
  const trimmed = follow({ after: { ...end, offset: 5 } });
  const lost = follow({ after: { epoch: 'of-another-run', offset: 70 } });
  await settle();
  assert.deepEqual([held.seen.length, held.gaps], [20, 0]);
  assert.deepEqual([trimmed.seen, trimmed.gaps, trimmed.position?.offset], [[], 1, 80]);
  assert.deepEqual([lost.seen, lost.gaps, lost.position?.offset], [[], 1, 80]);
});

test('what the tail drops is read as soon as the next entry shows the hole, or the ends are compared', async () => {
  const { append, follow, settle, faults, stream, top } = world();
  const reader = follow({ history: 0 });
  await settle();
  faults.tail = false;
  await append('1');
  faults.tail = true;
  await append('2');
  await settle();
  assert.deepEqual(reader.seen, ['1', '2']);
  faults.tail = false;
  await append('3');
  await settle();
  stream.verify(await top());
  await settle();
  assert.deepEqual(reader.seen, ['1', '2', '3']);
});

test('who reads too slowly gets nothing until it has room, and then everything from the history', async () => {
  const { append, follow, settle, stream } = world();
  const [slow, fast] = [follow({ history: 0 }), follow({ history: 0 })];
  await settle();
  slow.open = false;
  for (const text of ['1', '2', '3']) await append(text);
  await settle();
  assert.deepEqual([slow.seen, fast.seen], [[], ['1', '2', '3']]);
  assert.deepEqual([slow.overruns, fast.overruns], [1, 0]);
  slow.open = true;
  stream.resume(slow);
  await settle();
  await append('4');
  await settle();
  assert.deepEqual([slow.seen, slow.gaps, slow.errors], [['1', '2', '3', '4'], 0, []]);
});

test('who comes while a large audience is served row by row gets what comes from then on, and the others miss nothing', async () => {
  const { append, follow, settle } = world();
  const many = Array.from({ length: 400 }, () => follow({ history: 0 }));
  await settle();
  for (const text of ['1', '2', '3']) {
    const appended = append(text);
    many.push(follow({ history: 0 }));
    await appended;
    many.push(follow({ history: 0 }));
  }
  await settle();
  assert.deepEqual(
    many.flatMap(({ errors }) => errors),
    [],
  );
  assert.ok(many.slice(0, 400).every(({ seen }) => seen.join() === '1,2,3'));
  assert.ok(many.every(({ seen, position }) => '1,2,3'.endsWith(seen.join()) && position?.offset === 3));
});

test('while the engine does not answer nothing is told, and then everything', async () => {
  const { append, follow, settle, faults } = world();
  faults.answers = false;
  const reader = follow({ history: 0 });
  await settle(5_000);
  assert.equal(reader.position, null);
  faults.answers = true;
  await settle(1_000);
  await append('1');
  await settle();
  assert.deepEqual(reader.seen, ['1']);
});

test('an engine that forgot makes a gap for those who are live, and goes on', async () => {
  const { append, follow, settle, forget, stream, top } = world();
  const reader = follow({ history: 0 });
  await settle();
  for (const text of ['1', '2']) await append(text);
  await settle();
  await forget();
  await append('3');
  stream.verify(await top());
  await settle();
  await append('4');
  await settle();
  assert.deepEqual([reader.seen, reader.gaps, reader.errors], [['1', '2', '4'], 1, []]);
});

const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant('append' as const) },
  { weight: 2, arbitrary: fc.constant('drop' as const) },
  { weight: 1, arbitrary: fc.constant('deaf' as const) },
  { weight: 1, arbitrary: fc.constant('stall' as const) },
  { weight: 1, arbitrary: fc.constant('room' as const) },
  { weight: 1, arbitrary: fc.constant('join' as const) },
  { weight: 1, arbitrary: fc.constant('wait' as const) },
);

test('whatever is dropped, refused or slow: each reader sees a run without holes, and in the end everything it was not told to miss', async () => {
  await alwaysAsync(fc.array(step, { minLength: 5, maxLength: 120 }), async (steps) => {
    const { append, follow, settle, faults, stream, top } = world();
    const readers = [follow({ history: 0 })];
    const makeRoom = (): void => {
      for (const reader of readers) {
        reader.open = true;
        stream.resume(reader);
      }
    };
    await settle();
    let count = 0;
    for (const what of steps) {
      if (what === 'append') await append(`${++count}`);
      else if (what === 'drop') faults.tail = !faults.tail;
      else if (what === 'deaf') faults.answers = !faults.answers;
      else if (what === 'stall') readers[count % readers.length].open = false;
      else if (what === 'join') readers.push(follow({ history: count % 2 === 0 ? 5 : 0 }));
      else if (what === 'room') makeRoom();
      else await settle(600);
    }
    faults.tail = true;
    faults.answers = true;
    makeRoom();
    await settle(2_000);
    stream.verify(await top());
    await settle(2_000);
    for (const { errors, position, gaps, seen } of readers) {
      assert.deepEqual(errors, []);
      assert.equal(position?.offset, count);
      if (gaps > 0 || seen.length === 0) continue;
      assert.deepEqual(
        seen,
        Array.from({ length: seen.length }, (_, i) => `${count - seen.length + 1 + i}`),
      );
    }
  });
});
