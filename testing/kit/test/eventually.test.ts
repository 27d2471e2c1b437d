import { expect, test } from 'vitest';
import { eventually } from '../src/eventually.ts';

test('returns the first value of the probe', async () => {
  let attempts = 0;
  const value = await eventually(() => {
    attempts += 1;
    return attempts < 4 ? undefined : `attempt ${attempts}`;
  });
  expect(value).toBe('attempt 4');
});

test('0, null and an empty string are values, false is not', async () => {
  expect(await eventually(() => 0)).toBe(0);
  expect(await eventually(() => null)).toBeNull();
  expect(await eventually(() => '')).toBe('');
  const answers = [false, false, true];
  expect(await eventually(() => answers.shift())).toBe(true);
  expect(answers).toEqual([]);
});

test('the error at the deadline has the last value, or the last error of the probe as its cause', async () => {
  const failing = eventually(
    () => {
      expect([1, 2]).toHaveLength(3);
      return true;
    },
    { timeoutMs: 60, intervalMs: 5 },
  );
  await expect(failing).rejects.toThrow(
    /^Not so within 60 ms and \d+ attempts; last error: expected .* length of 3/u,
  );
  await expect(failing).rejects.toHaveProperty('cause.name', 'AssertionError');
  await expect(eventually(() => false, { timeoutMs: 30 })).rejects.toThrow('last value: false');
});

test('a probe that never returns is not waited for beyond the deadline', async () => {
  const never = eventually(() => Promise.withResolvers<string>().promise, { timeoutMs: 50 });
  await expect(never).rejects.toThrow(
    'Not so within 50 ms and 0 attempts; the first attempt has not returned',
  );
});
