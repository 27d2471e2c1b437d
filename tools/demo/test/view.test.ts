import { startList } from '@app/fleet-sim/start-list';
import { expect, test } from 'vitest';
import type { Progress } from '../src/progress.ts';
import { createView, type Screen } from '../src/view.ts';

const startedAtMs = Date.UTC(2026, 6, 4, 9);
const entries = startList([['000000010000017'], ['000000010000025']], 0);

const progress = (atS: number, stored: number | undefined): Progress => ({
  atMs: startedAtMs + 1_000 * atS,
  sent: { records: 120, distinct: 118, duplicates: 2, conflicting: 0, bad: 0 },
  stored,
  duplicates: 2,
  deadLetters: 0,
  lagEntries: Number.NaN,
  lagS: 0.25,
  pending: 3,
  received: 99,
  p50Ms: 180,
  p99Ms: undefined,
  newest: [
    {
      deviceId: '000000010000025',
      lat: 62.05,
      lon: 25.1,
      ts: startedAtMs,
      speed: 0,
      course: 12,
      altitude: 171,
    },
  ],
});

function show(screen: Partial<Screen>, ...all: readonly Progress[]): string {
  let shown = '';
  const write = (text: string): boolean => {
    shown += text;
    return true;
  };
  {
    using view = createView({
      screen: { ...screen, write },
      startedAtMs: () => startedAtMs,
      durationMs: 20_000,
      entries,
    });
    for (const one of all) view.show(one);
  }
  return shown;
}

test('a terminal shows counts, rates and the newest positions by start number', () => {
  const shown = show({ isTTY: true, columns: 100, rows: 40 }, progress(1, 50), progress(2, 110));
  expect(shown).toContain('00:02 of 00:20');
  expect(shown).toContain('60 fixes/s, 2 duplicates, 0 dead letters');
  expect(shown).toContain('lag        –          0.3 s behind, 3 pending');
  expect(shown).toContain('fix to client p50 180 ms, p99 – ms');
  expect(shown).toMatch(/#2 +62\.05000 +25\.10000 +0 +12° +171 m +2\.0 s/);
});

test('a terminal is redrawn in place and the cursor is restored', () => {
  const escape = '\u001B';
  const shown = show({ isTTY: true, columns: 100, rows: 40 }, progress(1, 50), progress(2, 110));
  const first = shown.slice(shown.indexOf(`${escape}[J`), shown.lastIndexOf(`${escape}[J`));
  expect(shown).toContain(`${escape}[${first.split('\n').length - 1}A\r`);
  expect(shown.startsWith(`${escape}[?25l`)).toBe(true);
  expect(shown.endsWith(`${escape}[?25h`)).toBe(true);
});

test('rows are narrower and fewer than those of the terminal', () => {
  const shown = show({ isTTY: true, columns: 30, rows: 11 }, progress(1, 50));
  const rows = shown.split('\n');
  expect(rows.length).toBeLessThanOrEqual(11);
  for (const row of rows.slice(1)) expect(row.length).toBeLessThan(30);
});

test('without a terminal there is a line every two seconds', () => {
  const shown = show({}, progress(0, undefined), progress(1, 50), progress(2, 100), progress(4, 220));
  expect(shown.split('\n')).toEqual([
    '00:00  sent 120  stored – (– fixes/s)  lag –  received 99  fix to client 180 ms',
    '00:02  sent 120  stored 100 (– fixes/s)  lag –  received 99  fix to client 180 ms',
    '00:04  sent 120  stored 220 (60 fixes/s)  lag –  received 99  fix to client 180 ms',
    '',
  ]);
});
