// Short words for tests on streams: appends by ids and by sessions, pages read to the end, claims.
import assert from 'node:assert/strict';
import type { Engine } from '../../src/engine/engine.ts';
import type { Appended, Author, Claim, Claimed, Entry, Keep, Page } from '../../src/engine/streams.ts';
import type { Position } from '../../src/protocol/frames.ts';

export const keep: Keep = { count: 1_000, ageMs: 60_000, metaMs: 120_000 };

let ids = 0;
export const byId = (id = `id${ids++}`): Author => ({ kind: 'id', id });

export function append(engine: Engine, stream: string, data: string, how: { author?: Author; keep?: Partial<Keep> } = {}): Promise<Appended> {
  return engine.streams.append({ stream, data, author: how.author ?? byId(), keep: { ...keep, ...how.keep } });
}

/** Appends and answers with where it went. */
export async function put(engine: Engine, stream: string, data: string, kept: Partial<Keep> = {}): Promise<Position> {
  const done = await append(engine, stream, data, { keep: kept });
  assert.equal(done.kind, 'appended');
  const { epoch, offset } = done as Position & Appended;
  return { epoch, offset };
}

export async function putMany(engine: Engine, stream: string, all: readonly string[], kept: Partial<Keep> = {}): Promise<readonly Position[]> {
  return Promise.all(all.map((data) => put(engine, stream, data, kept)));
}

export function readAfter(engine: Engine, stream: string, after: Position, limit = 1_000): Promise<Page> {
  return engine.streams.read(stream, { after }, limit);
}

export async function topOf(engine: Engine, stream: string): Promise<Position> {
  const [top] = await engine.streams.tops([stream], keep.metaMs);
  return top;
}

export const dataOf = (page: Page): readonly string[] | 'gap' => (page.kind === 'gap' ? 'gap' : page.entries.map((entry) => entry.data));

export const offsetsOf = (entries: readonly Entry[]): readonly number[] => entries.map(({ offset }) => offset);

export const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

export function claim(engine: Engine, session: string, how: Partial<Claim> = {}): Promise<Claimed> {
  const standard = { session, instance: 'i', link: 1, user: null, node: 'n1', ticket: null, create: true, ttlMs: 60_000 };
  return engine.streams.claim({ ...standard, ...how });
}

/** Claims, and answers with the owner epoch. */
export async function own(engine: Engine, session: string, how: Partial<Claim> = {}): Promise<number> {
  const claimed = await claim(engine, session, how);
  assert.equal(claimed.kind, 'claimed');
  return (claimed as Claimed & { kind: 'claimed' }).owner;
}

export const bySession = (session: string, owner: number, number: number): Author => ({ kind: 'session', session, owner, number });
