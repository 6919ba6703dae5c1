// The dice port, and a seeded generator (splitmix32) that gives the same numbers on every Node version.

export interface Random {
  /** A number in [0, 1). */
  next(): number;
}

/** A whole number in [0, limit). */
export function below(random: Random, limit: number): number {
  return Math.floor(random.next() * limit);
}

/** A generator that repeats itself for the same seed. splitmix32: https://arxiv.org/abs/1410.0530, section 2, 32-bit form. */
export function seeded(seed: number): Random {
  let state = seed | 0;
  return {
    next() {
      state = (state + 0x9e3779b9) | 0;
      let z = state ^ (state >>> 16);
      z = Math.imul(z, 0x21f0aaad);
      z ^= z >>> 15;
      z = Math.imul(z, 0x735a2d97);
      return ((z ^ (z >>> 15)) >>> 0) / 4294967296;
    },
  };
}
