import { expect, test } from 'vitest';
import { LoopProgress, progressLimitMs } from '../../src/pipeline/loop-progress.ts';

test('a loop is alive until it has made no progress for longer than the limit', () => {
  let nowMs = 1000;
  const progress = new LoopProgress(['a'], 50, () => nowMs);
  nowMs += 50;
  expect(progress.status()).toEqual({ ok: true });
  nowMs += 1;
  expect(progress.status()).toEqual({ ok: false, reason: 'the loop of a has made no progress for 51 ms' });
  progress.noteProgress('a');
  expect(progress.status()).toEqual({ ok: true });
});

test('one stalled loop makes the process unhealthy, whatever the others do', () => {
  let nowMs = 0;
  const progress = new LoopProgress(['a', 'b'], 50, () => nowMs);
  nowMs = 60;
  progress.noteProgress('b');
  expect(progress.status()).toMatchObject({ ok: false, reason: expect.stringContaining('loop of a') });
});

test('the limit is three times the longest normal iteration', () => {
  expect(progressLimitMs(2000, 15_000)).toBe(3 * (2000 + 2000 + 15_000 + 15_000));
});
