import { expect, test } from 'vitest';
import { eventually } from '../src/eventually.ts';

test('gives what the probe gives once it is there', async () => {
  let tries = 0;
  const seen = await eventually(() => {
    tries += 1;
    return tries < 4 ? undefined : `try ${tries}`;
  });
  expect(seen).toBe('try 4');
});

test('takes 0, null and an empty text for answers, and goes on at false', async () => {
  expect(await eventually(() => 0)).toBe(0);
  expect(await eventually(() => null)).toBeNull();
  expect(await eventually(() => '')).toBe('');
  const answers = [false, false, true];
  expect(await eventually(() => answers.shift())).toBe(true);
  expect(answers).toEqual([]);
});

test('says at the deadline what it last saw, with the error of the probe as the cause', async () => {
  const failing = eventually(
    () => {
      expect([1, 2]).toHaveLength(3);
      return true;
    },
    { timeoutMs: 60, intervalMs: 5 },
  );
  await expect(failing).rejects.toThrow(
    /^Not so within 60 ms and \d+ tries; last error: expected .* length of 3/u,
  );
  await expect(failing).rejects.toHaveProperty('cause.name', 'AssertionError');
  await expect(eventually(() => false, { timeoutMs: 30 })).rejects.toThrow('last seen: false');
});

test('does not wait beyond the deadline for a probe that never comes back', async () => {
  const startedAtMs = performance.now();
  const never = eventually(() => Promise.withResolvers<string>().promise, { timeoutMs: 50 });
  await expect(never).rejects.toThrow('Not so within 50 ms and 0 tries; the first try has not come back');
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
});
