// Short words for tests on presence: somebody comes and goes, and what the stream has told of it.
import type { Engine } from '../../src/engine/engine.ts';
import type { Enter, Keep, Leave } from '../../src/engine/streams.ts';
import { keep } from './stream-stories.ts';

type How = Partial<Pick<Enter, 'owner' | 'turn' | 'user' | 'ttlMs'>> & { readonly keep?: Partial<Keep> };

/** Whose coming it is, told as `+CLIENT` and `-CLIENT`, with the user where there is one. */
export function coming(stream: string, client: string, how: How = {}): Enter & Leave {
  const { owner = 1, turn = 1, user = null, ttlMs = 60_000 } = how;
  const name = user === null ? client : `${client} ${user}`;
  return { stream, client, owner, turn, user, joined: `+${name}`, left: `-${name}`, ttlMs, keep: { ...keep, ...how.keep } };
}

export const enter = ({ streams }: Engine, ...who: Parameters<typeof coming>): Promise<boolean> => streams.enter(coming(...who));
export const leave = ({ streams }: Engine, ...who: Parameters<typeof coming>): Promise<boolean> => streams.leave(coming(...who));
export const lapse = ({ streams }: Engine, stream: string): Promise<number> => streams.lapse(stream, keep);

/** Who is there, in no order. */
export async function present({ streams }: Engine, stream: string): Promise<readonly string[]> {
  return (await streams.present(stream, keep)).map(({ client, user }) => (user === null ? client : `${client} ${user}`)).sort();
}

/** All that was told. */
export async function told({ streams }: Engine, stream: string): Promise<readonly string[]> {
  const page = await streams.read(stream, { history: 1_000 }, 1_000);
  return page.kind === 'page' ? page.entries.map(({ data }) => data) : ['gap'];
}

/** Who is there after each entry, from nobody on; null where an entry says what was so before. */
export function states(entries: readonly string[]): readonly (readonly string[])[] | null {
  const here = new Set<string>();
  const all: string[][] = [[]];
  for (const entry of entries) {
    const [sign, name] = [entry[0], entry.slice(1)];
    if (here.has(name) === (sign === '+')) return null;
    if (sign === '+') here.add(name);
    else here.delete(name);
    all.push([...here].sort());
  }
  return all;
}
