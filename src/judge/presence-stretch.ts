// What one follower was told of presence between two gaps, and the lists that it was given meanwhile: is there for each a moment at which
// it was so, none before that of the list before?

interface Change {
  readonly client: string;
  readonly isHere: boolean;
}

interface List {
  readonly names: ReadonlySet<string>;
  /** So many changes were told before it was asked for. */
  readonly after: number;
}

export interface Strays {
  readonly stray: number;
  readonly unknown: number;
  /** The first one in words, or null. */
  readonly first: string | null;
}

export class Stretch {
  readonly #begin: number;
  readonly #before: 'nobody' | 'unknown';
  readonly #changes: Change[] = [];
  readonly #lists: List[] = [];
  /** As far as it was told of them. */
  readonly #here = new Map<string, boolean>();

  /** `begin`: how many changes and gaps the follower was told before; `before`: who was there when it began. */
  constructor(begin: number, before: 'nobody' | 'unknown') {
    this.#begin = begin;
    this.#before = before;
  }

  /** False where that was so before. */
  change(client: string, isHere: boolean): boolean {
    const known = this.#here.get(client) ?? (this.#before === 'nobody' ? false : null);
    this.#here.set(client, isHere);
    this.#changes.push({ client, isHere });
    return known !== isHere;
  }

  /** False where it was asked for before this stretch. */
  list(names: readonly string[], after: number): boolean {
    if (after < this.#begin) return false;
    this.#lists.push({ names: new Set(names), after: after - this.#begin });
    return true;
  }

  /** `isOver`: a gap followed, or the end. The last lists may then be of a moment of which nothing was told. */
  strays({ isOver }: { readonly isOver: boolean }): Strays {
    const here = this.#atFirst();
    let at = 0;
    const lost: number[] = [];
    let lastFound = -1;
    for (const [index, list] of this.#lists.entries()) {
      const place = this.#placeOf(list, here, at);
      if (place === null) {
        lost.push(index);
        continue;
      }
      for (; at < place; at++) apply(here, this.#changes[at]);
      lastFound = index;
    }
    const stray = isOver ? lost.filter((index) => index < lastFound) : lost;
    const [first] = stray;
    return { stray: stray.length, unknown: lost.length - stray.length, first: first === undefined ? null : this.#describe(first) };
  }

  /** Whoever is told of first as joining was not there, as leaving was; all others never changed. */
  #atFirst(): Set<string> {
    const first = new Map<string, boolean>();
    for (const { client, isHere } of this.#changes) if (!first.has(client)) first.set(client, !isHere);
    if (this.#before === 'nobody') return new Set();
    const unmoved = [...(this.#lists[0]?.names ?? [])].filter((name) => !first.has(name));
    return new Set([...unmoved, ...[...first].flatMap(([name, wasHere]) => (wasHere ? [name] : []))]);
  }

  /** The first moment from `at` on, and since it was asked for, at which the list was right; null when there is none. */
  #placeOf({ names, after }: List, here: ReadonlySet<string>, at: number): number | null {
    const differing = new Set([...names].filter((name) => !here.has(name)));
    for (const name of here) if (!names.has(name)) differing.add(name);
    for (let place = at; ; place++) {
      if (differing.size === 0 && place >= after) return place;
      if (place === this.#changes.length) return null;
      const { client, isHere } = this.#changes[place];
      if (names.has(client) === isHere) differing.delete(client);
      else differing.add(client);
    }
  }

  /** How it differs from the moment to which it comes nearest. */
  #describe(index: number): string {
    const { names, after } = this.#lists[index];
    const here = this.#atFirst();
    let nearest: { readonly place: number; readonly differing: readonly string[] } | null = null;
    for (let place = 0; place <= this.#changes.length; place++) {
      if (place > 0) apply(here, this.#changes[place - 1]);
      if (place < after) continue;
      const differing = [...[...names].filter((name) => !here.has(name)), ...[...here].filter((name) => !names.has(name))];
      if (nearest === null || differing.length < nearest.differing.length) nearest = { place, differing };
    }
    const asked = `list ${index + 1}, asked for after ${after} joins and leaves, is of no moment since`;
    const unlike = nearest?.differing.map((name) => (names.has(name) ? `+${name}` : `-${name}`)) ?? [];
    return `${asked}; it comes nearest after ${nearest?.place}, with ${unlike.join(' ') || 'a list before it that was later'}`;
  }
}

function apply(here: Set<string>, { client, isHere }: Change): void {
  if (isHere) here.add(client);
  else here.delete(client);
}
