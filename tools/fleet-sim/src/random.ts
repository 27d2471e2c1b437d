/** The next number of a seeded sequence, in [0, 1). */
export type Random = () => number;

/**
 * A random sequence seeded by a path of numbers, so that each vehicle has a reproducible sequence independent of others.
 * Uses sfc32 (Chris Doty-Humphrey, PractRand): 128 bits of state, period of at least 2^32, no bigint.
 */
export function createRandom(...path: readonly number[]): Random {
  let a = 0x9e3779b9;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  let counter = 1;

  const next = (): number => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return sum >>> 0;
  };

  for (const part of path) {
    // Both halves, so that seeds above 2^32 (such as a time) differ too.
    a ^= part | 0;
    b ^= Math.floor(part / 2 ** 32) | 0;
    for (let round = 0; round < 12; round += 1) next();
  }
  return () => next() / 2 ** 32;
}

export function between(random: Random, low: number, high: number): number {
  return low + random() * (high - low);
}

/** An integer from `low` to `high`, inclusive. */
export function wholeBetween(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** Normally distributed, mean 0, deviation 1. */
export function gaussian(random: Random): number {
  // 1 - random() is never 0, whose logarithm would be infinite.
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
