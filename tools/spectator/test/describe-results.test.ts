import type { ResultRow, ResultTables } from '@app/live-client';
import { expect, test } from 'vitest';
import { describeResults } from '../src/describe-results.ts';

const names = {
  entries: new Map([
    ['e1', { number: '7', crew: 'Anna / Ben' }],
    ['e2', { number: '12', crew: 'Cleo / Dan' }],
  ]),
  stages: new Map([
    ['s1', { name: 'SS 1', order: 1 }],
    ['s2', { name: 'SS 2', order: 2 }],
  ]),
};

function tablesOf(tables: Readonly<Record<string, readonly ResultRow[]>>): ResultTables {
  return new Map(
    Object.entries(tables).map(([table, rows]) => [table, new Map(rows.map((row, at) => [String(at), row]))]),
  );
}

const classification: readonly ResultRow[] = [
  { entry_id: 'e2', stage_id: null, list_order: 2, place: 2, total_ms: 3_723_400, gap_ms: 61_005 },
  { entry_id: 'e1', stage_id: null, list_order: 1, place: 1, total_ms: 3_662_395, gap_ms: 0 },
  { entry_id: 'e1', stage_id: 's1', list_order: 1, place: 1, total_ms: 1, gap_ms: 0 },
];

test('prints the overall classification with names, vehicle, stage, times, penalties and gaps', () => {
  const tables = tablesOf({
    classification,
    stage_results: [
      { entry_id: 'e1', stage_id: 's2', status: 'on_stage', progress_m: 4321, penalty_ms: 0 },
      { entry_id: 'e1', stage_id: 's1', status: 'finished', penalty_ms: 30_000 },
      { entry_id: 'e2', stage_id: 's1', status: 'finished', penalty_ms: 0 },
      { entry_id: 'e2', stage_id: 's2', status: 'not_started', penalty_ms: 0 },
    ],
    vehicle_states: [{ entry_id: 'e1', state: 'moving' }],
  });
  expect(describeResults(tables, names)).toEqual([
    '   no.  crew        vehicle  stage                        time   penalty        gap',
    '1  7    Anna / Ben  moving   SS 2 on stage 4.3 km  1:01:02.395  0:30.000',
    '2  12   Cleo / Dan           SS 1 finished         1:02:03.400            +1:01.005',
  ]);
});

test('adds open incidents, for who may see them', () => {
  const incident = { entry_id: 'e2', from_at: Date.UTC(2026, 5, 1, 12, 3, 4), latitude: 62, longitude: 25.1 };
  const tables = tablesOf({
    classification,
    incidents: [
      { ...incident, rule: 'sos', is_open: true, is_position_good: false },
      { ...incident, rule: 'standing', is_open: false, is_position_good: true },
    ],
  });
  expect(describeResults(tables, names).slice(3)).toEqual([
    'SOS: no. 12 Cleo / Dan since 12:03:04 at 62.00000 25.10000, which is not certain',
  ]);
});

test('shows ids where names cannot be read, and at most 20 entries', () => {
  const rows = Array.from({ length: 22 }, (_, at) => ({
    entry_id: `0190c5de-${at}`,
    stage_id: null,
    list_order: at + 1,
  }));
  const lines = describeResults(tablesOf({ classification: rows }), {
    entries: new Map(),
    stages: new Map(),
  });
  expect(lines[1]).toContain('0190c5de');
  expect(lines.length).toBe(1 + 20 + 1);
  expect(lines.at(-1)).toBe('and 2 more');
});

test('prints nothing before there are results', () => {
  expect(describeResults(new Map(), names)).toEqual([]);
});
