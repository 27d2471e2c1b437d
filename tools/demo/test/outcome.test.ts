import { describe, expect, test } from 'vitest';
import { Latencies } from '../src/latencies.ts';
import { findProblems, summarise, type Outcome } from '../src/outcome.ts';

const latencies = new Latencies();
for (const latencyMs of [100, 200, 300]) latencies.add(latencyMs);

const good: Outcome = {
  sent: { records: 1_012, distinct: 1_000, duplicates: 10, conflicting: 1, bad: 1 },
  counted: { stored: 1_000, duplicates: 10, deadLetters: 2, pending: 0 },
  received: 950,
  latencies,
};

test('there is no problem if each fix is stored once and the rest is accounted for', () => {
  expect(findProblems(good)).toEqual([]);
  expect(summarise(good)).toBe(
    'sent 1012 records (1000 fixes), stored 1000, duplicates 10, dead letters 2, received 950, fix to client p50 200 ms p99 300 ms',
  );
});

describe('a problem is', () => {
  const counted = good.counted;
  test.for<[string, Partial<Outcome>, string]>([
    ['one fix too few', { counted: { ...counted, stored: 999, duplicates: 11 } }, '999 are stored'],
    ['one fix too many', { counted: { ...counted, stored: 1_001, duplicates: 9 } }, '1001 are stored'],
    ['a record unaccounted for', { counted: { ...counted, duplicates: 9 } }, 'are 1011'],
    ['a good record among the dead letters', { counted: { ...counted, deadLetters: 3 } }, '3 are'],
    ['a record still pending', { counted: { ...counted, pending: 1 } }, '1 records are still pending'],
    ['nothing stored', { counted: { ...counted, stored: 0 } }, 'no fix was stored'],
    ['nothing received', { received: 0 }, 'no position was received'],
    ['only an old snapshot received', { latencies: new Latencies() }, 'no position of a fresh fix'],
  ])('%s', ([, change, said]) => {
    expect(findProblems({ ...good, ...change }).join('\n')).toContain(said);
  });
});
