import { randomInt } from 'node:crypto';

/**
 * The seed of a random test of a whole system: 1, so that a change is not blamed for a random find, or the number or
 * `random` in the variable. The test's name or failure must contain it.
 */
export function chosenSeed(variable: 'MODEL_SEED' | 'FUZZ_SEED' | 'LIVE_SEED'): number {
  const given = process.env[variable] ?? '1';
  if (given === 'random') return randomInt(1_000_000_000);
  const seed = Number(given);
  if (!/^\d+$/u.test(given) || !Number.isSafeInteger(seed)) {
    throw new Error(`${variable} must be a whole number or random`);
  }
  return seed;
}
