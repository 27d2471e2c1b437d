import { chosenSeed } from '@app/test-kit/chosen-seed';
import { describe, expect, test } from 'vitest';
import { runModel } from './run-model.ts';

const runs = Number(process.env['MODEL_RUNS'] ?? 500);
const seed = chosenSeed('MODEL_SEED');

describe('whatever fails, every entry is stored exactly once or dead-lettered', () => {
  test(`in ${runs} random runs (MODEL_SEED=${seed})`, { timeout: 600_000 }, async () => {
    const limits = { stillLimitMs: 30_000, isShrunk: true, maxFailures: 3 };
    const { failures, counts } = await runModel({ seed, runs, concurrency: 40, ownRedises: 6, ...limits });
    expect(failures.join('\n\n')).toBe('');
    // A model in which nothing fails proves nothing.
    const missing = expected.filter((what) => !counts.has(what));
    expect(runs < 500 ? [] : missing).toEqual([]);
  });
});

const expected = [
  'reader: half-open, executed before',
  'commands: cut, executed before',
  'postgres: error, executed never',
  'postgres: silence, executed after',
  'postgres: crash, executed after',
  'domain step: error, executed never',
  'domain step: crash, executed before',
  'restart Redis',
  'crashed',
  'failed',
  'dead letter: ended_process',
  'dead letter: row_refused',
  'dead letter: same_time',
];
