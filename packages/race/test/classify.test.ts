import { describe, expect, test } from 'vitest';
import { classify } from '../src/classify.ts';
import type { EntryResults, StageResultRow, StageStatus } from '../src/rows.ts';
import { hasMembers, readGoldenFiles } from './support/golden-case.ts';
import { makeRace } from './support/race.ts';

interface ClassificationCase {
  readonly title: string;
  readonly stages: readonly string[];
  /** Entry, stage, status, milliseconds from start to finish, penalty, and what else matters. */
  readonly results: readonly (readonly [
    string,
    string,
    StageStatus,
    number | null,
    number,
    Partial<StageResultRow>?,
  ])[];
  /** "place. entry" by stage or overall; gaps, totals and derived times of the overall classification. */
  readonly expected: {
    readonly [list: string]: readonly string[] | Readonly<Record<string, number | null>>;
  };
}

function isClassificationCase(value: unknown): value is ClassificationCase {
  return hasMembers(value, ['title', 'stages', 'results', 'expected']);
}

describe.for(readGoldenFiles('classification', isClassificationCase))('%s', ([, cases]) => {
  test.for(cases.map((golden) => [golden.title, golden] as const))('%s', ([, golden]) => {
    const { rows, race } = classified(golden);
    const overall = rows.filter(({ stageId }) => stageId === undefined);
    const lists = Map.groupBy(rows, ({ stageId }) => stageId ?? 'overall');
    const actual: Record<string, unknown> = {
      gaps: Object.fromEntries(overall.map(({ entryId, gapMs }) => [entryId, gapMs ?? null])),
      totals: Object.fromEntries(overall.map(({ entryId, totalMs }) => [entryId, totalMs ?? null])),
      derived: overall.filter(({ isDerived }) => isDerived).map(({ entryId }) => entryId),
    };
    for (const [list, ofList] of lists)
      actual[list] = ofList.map(({ place, entryId }) => `${place ?? '-'}. ${entryId}`);
    expect(actual).toMatchObject(golden.expected);
    for (const ofList of lists.values()) {
      expect(ofList.map(({ position }) => position)).toEqual(race.entries.map((_, index) => index + 1));
    }
  });
});

test('places within a class', () => {
  const { rows } = classified(
    {
      title: '',
      stages: ['SS1'],
      results: [
        ['1', 'SS1', 'finished', 3000, 0],
        ['2', 'SS1', 'finished', 2000, 0],
        ['3', 'SS1', 'finished', 1000, 0],
      ],
      expected: {},
    },
    (id) => (id === '2' ? 'truck' : 'car'),
  );
  const overall = rows.filter(({ stageId }) => stageId === undefined);
  expect(overall.map(({ entryId, place, classPlace }) => [entryId, place, classPlace])).toEqual([
    ['3', 1, 1],
    ['2', 2, 1],
    ['1', 3, 2],
  ]);
});

test('equal entries are listed by start order, then number, whatever the order of the results', () => {
  const golden: ClassificationCase = {
    title: '',
    stages: ['SS1'],
    results: ['10', '9', '2'].map((id) => [id, 'SS1', 'finished', 1000, 0] as const),
    expected: {},
  };
  const forwards = classified(golden).rows.map(({ entryId }) => entryId);
  const backwards = classified({ ...golden, results: golden.results.toReversed() }).rows.map(
    ({ entryId }) => entryId,
  );
  expect(forwards).toEqual(['2', '9', '10', '2', '9', '10']);
  expect(backwards).toEqual(forwards);
});

function classified(golden: ClassificationCase, classOf: (entryId: string) => string = () => 'car') {
  const ids = [...new Set(golden.results.map(([entryId]) => entryId))];
  const race = makeRace({
    stages: golden.stages.map((id) => ({
      id,
      kind: id === 'liaison' ? ('liaison' as const) : ('special' as const),
    })),
    entries: ids.map((id) => ({ id, class: classOf(id), startOrder: undefined })),
  });
  const course = { ...race, thresholds: race.event.thresholds };
  const results = ids.map((entryId): EntryResults => {
    const stages = golden.results
      .filter(([id]) => id === entryId)
      .map(([, stageId, status, elapsedMs, penaltyMs, more]) =>
        stageRow(entryId, stageId, status, elapsedMs ?? undefined, penaltyMs, more),
      );
    return {
      entryId,
      passings: [],
      waypoints: [],
      zoneEpisodes: [],
      incidents: [],
      failures: [],
      judgeFailures: [],
      stages,
    };
  });
  return { race, rows: classify(race.event, course, race.entries, results).rows };
}

function stageRow(
  entryId: string,
  stageId: string,
  status: StageStatus,
  elapsedMs: number | undefined,
  penaltyMs: number,
  more?: Partial<StageResultRow>,
): StageResultRow {
  return {
    key: `${entryId}/${stageId}`,
    eventId: 'rally',
    entryId,
    stageId,
    rule: 'stage',
    ruleVersion: 1,
    confidence: 'high',
    isDecided: false,
    status,
    startAtMs: undefined,
    finishAtMs: undefined,
    elapsedMs,
    uncertaintyMs: undefined,
    penaltyMs,
    totalMs: elapsedMs === undefined || status !== 'finished' ? undefined : elapsedMs + penaltyMs,
    isToBeDerived: false,
    isDerived: false,
    gatesPassed: 0,
    lastGateAtMs: undefined,
    missedWaypoints: 0,
    progressM: undefined,
    isOffTrack: false,
    ...more,
  };
}
