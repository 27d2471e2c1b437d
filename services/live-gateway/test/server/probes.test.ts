import { expect, test } from 'vitest';
import { checkProgress } from '../../src/server/check-progress.ts';
import { Readiness } from '../../src/server/readiness.ts';

test('a gateway is ready once every condition was fulfilled, in any order, and until then lists the others', () => {
  let ready = 0;
  const readiness = new Readiness(['assignments', 'telemetry:0 to catch up'], () => (ready += 1));
  expect(readiness.status()).toEqual({
    ok: false,
    reason: 'waiting for: assignments; telemetry:0 to catch up',
  });
  readiness.fulfil('telemetry:0 to catch up');
  readiness.fulfil('telemetry:0 to catch up');
  expect(readiness.status()).toEqual({ ok: false, reason: 'waiting for: assignments' });
  readiness.fulfil('assignments');
  readiness.fulfil('assignments');
  expect(readiness.status()).toEqual({ ok: true });
  expect(ready).toBe(1);
  readiness.drain();
  expect(readiness.status()).toEqual({ ok: false, reason: 'draining' });
});

function loop(name: string, lastProgressAtMs: number, limitMs: number) {
  return { name, lastProgressAtMs: () => lastProgressAtMs, limitMs };
}

test('a gateway is alive while each loop makes progress within its own limit', () => {
  const nowMs = 100_000;
  expect(checkProgress([loop('the tick', 85_000, 15_000), loop('reading', 40_000, 60_000)], nowMs)).toEqual({
    ok: true,
  });
  // A loop that has not started yet counts as alive.
  expect(checkProgress([loop('reading', Number.NaN, 1_000)], nowMs)).toEqual({ ok: true });
  expect(checkProgress([loop('the tick', 84_999, 15_000), loop('reading', 99_999, 60_000)], nowMs)).toEqual({
    ok: false,
    reason: 'no progress: the tick',
  });
});
