import { expect, test } from 'vitest';
import { checkProgress } from '../../src/server/check-progress.ts';
import { Readiness } from '../../src/server/readiness.ts';

test('a gateway is ready once everything has happened once, in any order, and says until then what is missing', () => {
  let ready = 0;
  const readiness = new Readiness(
    ['the assignments are loaded', 'the stream is caught up'],
    () => (ready += 1),
  );
  expect(readiness.status()).toEqual({
    ok: false,
    reason: 'not yet: the assignments are loaded; the stream is caught up',
  });
  readiness.fulfil('the stream is caught up');
  readiness.fulfil('the stream is caught up');
  expect(readiness.status()).toEqual({ ok: false, reason: 'not yet: the assignments are loaded' });
  readiness.fulfil('the assignments are loaded');
  readiness.fulfil('the assignments are loaded');
  expect(readiness.status()).toEqual({ ok: true });
  expect(ready).toBe(1);
  readiness.drain();
  expect(readiness.status()).toEqual({ ok: false, reason: 'draining' });
});

function loop(name: string, lastProgressAtMs: number, limitMs: number) {
  return { name, lastProgressAtMs: () => lastProgressAtMs, limitMs };
}

test('a gateway is alive while each loop has turned within its own limit', () => {
  const nowMs = 100_000;
  expect(checkProgress([loop('the tick', 85_000, 15_000), loop('reading', 40_000, 60_000)], nowMs)).toEqual({
    ok: true,
  });
  // One that has not begun yet waits for what readiness waits for.
  expect(checkProgress([loop('reading', Number.NaN, 1_000)], nowMs)).toEqual({ ok: true });
  expect(checkProgress([loop('the tick', 84_999, 15_000), loop('reading', 99_999, 60_000)], nowMs)).toEqual({
    ok: false,
    reason: 'no progress: the tick',
  });
});
