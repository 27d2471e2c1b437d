import { encodeFields } from '@app/shared/entry';
import { expect, test } from 'vitest';
import { entryOf, decoded } from '../support/fixes.ts';
import { record } from '../support/telemetry.ts';
import { decodeEntries } from '../../src/pipeline/decode-entries.ts';

const limits = { futureFlagMs: 120_000, futureLimitMs: 86_400_000, pastLimitMs: 400 * 86_400_000 };
const arrivedAtMs = Date.UTC(2026, 5, 1, 12);
const id = `${arrivedAtMs}-7`;

function decodeFixAt(fixAtMs: number): ReturnType<typeof decodeEntries> {
  return decodeEntries([entryOf(id, encodeFields(record({ fixAtMs })))], limits);
}

test('a valid entry becomes a fix with its entry, its arrival time from the id, and its flags', () => {
  const entry = entryOf(id, encodeFields(record({ satellites: 0 })), 3);
  const { fixes, rejected } = decodeEntries([entry], limits);
  expect(rejected).toEqual([]);
  expect(fixes).toEqual([
    { ...decoded({ satellites: 0 }), entry, arrivedAtMs, quality: 1, isPastLimit: false },
  ]);
  expect(fixes[0]?.entry).toBe(entry);
});

test('invalid entries are rejected with a reason; valid ones keep their order', () => {
  const good = encodeFields(record());
  const { fixes, rejected } = decodeEntries(
    [
      entryOf('1-0', good),
      entryOf('2-0', []),
      entryOf('3-0', ['payload', Buffer.from([0xff]), 'codec', '8']),
      entryOf('4-0', good),
      entryOf('5-0', ['payload', '{}', 'codec', '7']),
    ],
    { ...limits, futureLimitMs: Number.MAX_SAFE_INTEGER },
  );
  expect(fixes.map(({ entry }) => entry.id)).toEqual(['1-0', '4-0']);
  expect(rejected.map(({ entry, reason }) => [entry.id, reason])).toEqual([
    ['2-0', 'missing_field'],
    ['3-0', 'not_utf8'],
    ['5-0', 'bad_codec'],
  ]);
});

test('a fix ahead of its arrival is flagged up to the limit and rejected beyond it', () => {
  expect(decodeFixAt(arrivedAtMs + limits.futureFlagMs).fixes[0]?.quality).toBe(0);
  expect(decodeFixAt(arrivedAtMs + limits.futureFlagMs + 1).fixes[0]?.quality).toBe(4);
  expect(decodeFixAt(arrivedAtMs + limits.futureLimitMs).fixes[0]?.quality).toBe(4);
  const { fixes, rejected } = decodeFixAt(arrivedAtMs + limits.futureLimitMs + 1);
  expect(fixes).toEqual([]);
  expect(rejected).toMatchObject([{ reason: 'future_limit', entry: { id } }]);
});

test('a fix before its arrival is past the limit beyond it, whatever its flags', () => {
  expect(decodeFixAt(arrivedAtMs - limits.pastLimitMs).fixes[0]?.isPastLimit).toBe(false);
  expect(decodeFixAt(arrivedAtMs - limits.pastLimitMs - 1).fixes[0]).toMatchObject({
    isPastLimit: true,
    quality: 0,
  });
  expect(decodeFixAt(Date.UTC(1999, 0, 1)).fixes[0]).toMatchObject({ isPastLimit: true, quality: 8 });
});

test('a rejection states how far ahead the fix is, and not where it was', () => {
  const [refusal] = decodeFixAt(arrivedAtMs + 2 * limits.futureLimitMs).rejected;
  expect(refusal?.detail).toBe('the fix is 172800 s later than its arrival; FUTURE_LIMIT_MS allows less');
});
