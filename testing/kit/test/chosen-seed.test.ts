import { afterEach, expect, test, vi } from 'vitest';
import { chosenSeed } from '../src/chosen-seed.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

test('the seed is constant by default', () => {
  vi.stubEnv('MODEL_SEED', undefined);
  expect([chosenSeed('MODEL_SEED'), chosenSeed('MODEL_SEED')]).toEqual([1, 1]);
});

test('the variable sets the seed or makes it random', () => {
  vi.stubEnv('FUZZ_SEED', '617251920');
  vi.stubEnv('LIVE_SEED', 'random');
  expect(chosenSeed('FUZZ_SEED')).toBe(617_251_920);
  expect(new Set(Array.from({ length: 20 }, () => chosenSeed('LIVE_SEED'))).size).toBeGreaterThan(1);
});

test.each(['', 'ramdom', '1.5', '-1', '1e3', '99999999999999999999'])('"%s" is refused', (given) => {
  vi.stubEnv('MODEL_SEED', given);
  expect(() => chosenSeed('MODEL_SEED')).toThrow('MODEL_SEED must be a whole number or random');
});
