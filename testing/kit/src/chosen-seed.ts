import { randomInt } from 'node:crypto';

/**
 * The seed of a random test of a whole system: always 1, so that a change is not blamed for what chance finds, or
 * what the variable says: a number, or `random`. The test's name or its failure has to say it.
 */
export function chosenSeed(variable: 'MODEL_SEED' | 'FUZZ_SEED' | 'LIVE_SEED'): number {
  const wish = process.env[variable] ?? '1';
  if (wish === 'random') return randomInt(1_000_000_000);
  const seed = Number(wish);
  if (!/^\d+$/u.test(wish) || !Number.isSafeInteger(seed)) {
    throw new Error(`${variable} must be a whole number or the word random`);
  }
  return seed;
}
