import { chosenSeed } from '@app/test-kit/chosen-seed';
import { describe, expect, test } from 'vitest';
import { playModel } from './play-model.ts';

const runs = Number(process.env['MODEL_RUNS'] ?? 1000);
const seed = chosenSeed('MODEL_SEED');

describe('whatever happens, every entry is stored once or parked', () => {
  test(`in ${runs} random runs (MODEL_SEED=${seed})`, { timeout: 600_000 }, async () => {
    const { failures, happened } = await playModel({
      restarting: 6,
      seed,
      runs,
      runsAtOnce: 40,
      stillLimitMs: 30_000,
      shrinkLimitMs: 60_000,
      enoughFailures: 3,
    });
    expect(failures.join('\n\n')).toBe('');
    // A model in which nothing goes wrong proves nothing.
    const missing = mustHappen.filter((what) => !happened.has(what));
    expect(runs < 1000 ? [] : missing).toEqual([]);
  });
});

const mustHappen = [
  'insert: fails',
  'insert: silence',
  'insert: late',
  'insert: answer lost',
  'insert: ours',
  'ack: fails',
  'ack: answer lost',
  'ack: silence',
  'check: half-open',
  'hear: fails',
  'hear: death after',
  'restart Redis',
  'XTRIM',
  'XDEL',
  'DEL',
  'dead',
  'stopped',
  'failed',
  'parked: ended_process',
  'parked: row_refused',
  'parked: same_time',
];
