import type { Course, Entry, RaceEvent } from './course.ts';
import { deriveTimes } from './derive-times.ts';
import type { Confidence } from './observation.ts';
import { rowKey, type EntryResults, type StageResultRow, type StageStatus } from './rows.ts';

const classificationVersion = 1;

export interface ClassificationRow {
  readonly key: string;
  readonly eventId: string;
  readonly entryId: string;
  /** None: of all stages together. */
  readonly stageId: string | undefined;
  readonly rule: 'classification';
  readonly ruleVersion: number;
  /** In the list, from 1, without equals. */
  readonly position: number;
  /** Shared by equal results. None for entries that have not started or have retired. */
  readonly place: number | undefined;
  readonly classPlace: number | undefined;
  readonly status: StageStatus;
  /** Stages finished; 0 or 1 for a stage. */
  readonly stagesFinished: number;
  /** With penalties, over the stages finished. */
  readonly totalMs: number | undefined;
  /** To the first, if both finished as many stages. */
  readonly gapMs: number | undefined;
  readonly confidence: Confidence;
  readonly isDecided: boolean;
  readonly isDerived: boolean;
}

export interface Classification {
  /** The entries' stage results, with derived times. */
  readonly stages: readonly StageResultRow[];
  /** By stage in the order of the stages, then overall; each by position. */
  readonly rows: readonly ClassificationRow[];
}

interface Standing {
  readonly entry: Entry;
  readonly status: StageStatus;
  readonly stagesFinished: number;
  readonly totalMs: number | undefined;
  /** The first stage that it has not finished decides between entries that have no time yet. */
  readonly current: StageResultRow | undefined;
  readonly rows: readonly StageResultRow[];
}

/** Orders all entries of an event, by timed stage and overall. */
export function classify(
  event: RaceEvent,
  course: Course,
  entries: readonly Entry[],
  results: readonly EntryResults[],
): Classification {
  const timed = course.stages.filter(({ kind }) => kind !== 'liaison');
  const stages = deriveTimes(
    timed,
    results.flatMap((one) => one.stages),
  );
  const byEntry = Map.groupBy(stages, ({ entryId }) => entryId);
  const rowsOf = (entry: Entry, stageIds: readonly string[]) => {
    const rows = byEntry.get(entry.id) ?? [];
    return stageIds.flatMap((id) => rows.filter(({ stageId }) => stageId === id));
  };
  const rank = (stageId: string | undefined, stageIds: readonly string[]) =>
    rankStandings(
      event,
      stageId,
      entries.map((entry) => standingOf(entry, rowsOf(entry, stageIds))),
    );
  const timedIds = timed.map(({ id }) => id);
  return { stages, rows: [...timedIds.flatMap((id) => rank(id, [id])), ...rank(undefined, timedIds)] };
}

function standingOf(entry: Entry, rows: readonly StageResultRow[]): Standing {
  const finished = rows.filter(({ totalMs }) => totalMs !== undefined);
  const worst = rows.toSorted((a, b) => severity(b.status) - severity(a.status))[0]?.status ?? 'not_started';
  return {
    entry,
    status: worst === 'not_started' && finished.length > 0 ? 'on_stage' : worst,
    stagesFinished: finished.length,
    totalMs:
      finished.length === 0 ? undefined : finished.reduce((sum, { totalMs }) => sum + (totalMs ?? 0), 0),
    current: rows.find(({ totalMs }) => totalMs === undefined),
    rows,
  };
}

function rankStandings(
  event: RaceEvent,
  stageId: string | undefined,
  standings: readonly Standing[],
): readonly ClassificationRow[] {
  const ordered = standings.toSorted((a, b) => compareResults(a, b) || compareEntries(a.entry, b.entry));
  const [leader] = ordered;
  const [places, classPlaces] = [new Map<Standing, number>(), new Map<Standing, number>()];
  notePlaces(ordered, places);
  for (const ofClass of Map.groupBy(ordered, ({ entry }) => entry.class).values()) {
    notePlaces(ofClass, classPlaces);
  }
  return ordered.map((one, index) => ({
    key: rowKey(event.id, one.entry.id, 'classification', stageId ?? 'overall'),
    eventId: event.id,
    entryId: one.entry.id,
    stageId,
    rule: 'classification' as const,
    ruleVersion: classificationVersion,
    position: index + 1,
    place: places.get(one),
    classPlace: classPlaces.get(one),
    status: one.status,
    stagesFinished: one.stagesFinished,
    totalMs: one.totalMs,
    gapMs: isRanked(one) && leader ? gapTo(leader, one) : undefined,
    confidence: one.rows.some(({ confidence }) => confidence === 'low') ? 'low' : 'high',
    isDecided: one.rows.some(({ isDecided }) => isDecided),
    isDerived: one.rows.some(({ isDerived }) => isDerived),
  }));
}

/** Of those that are ranked: the number in the order, that of the first for equal results. */
function notePlaces(ordered: readonly Standing[], places: Map<Standing, number>): void {
  for (const [index, one] of ordered.entries()) {
    if (!isRanked(one)) continue;
    const before = ordered[index - 1];
    const isEqual = before !== undefined && compareResults(before, one) === 0;
    places.set(one, (isEqual ? places.get(before) : undefined) ?? index + 1);
  }
}

function gapTo(leader: Standing, one: Standing): number | undefined {
  if (
    leader.stagesFinished !== one.stagesFinished ||
    leader.totalMs === undefined ||
    one.totalMs === undefined
  ) {
    return undefined;
  }
  return one.totalMs - leader.totalMs;
}

function isRanked({ status }: Standing): boolean {
  return status === 'finished' || status === 'on_stage';
}

/** Of several stages the most severe status is that of the entry. */
function severity(status: StageStatus): number {
  return { finished: 0, not_started: 1, on_stage: 2, otl: 3, dnf: 4, dns: 5, dsq: 6 }[status];
}

/** Ranked entries, then those that have not started, then retired ones. */
function groupOf(standing: Standing): number {
  if (isRanked(standing)) return 0;
  return { not_started: 1, otl: 2, dnf: 2, dns: 3, dsq: 4, finished: 0, on_stage: 0 }[standing.status];
}

/**
 * 0 for equal results. More stages finished first, then less time; with no stage finished what has been reached on the first
 * one: gates passed, then progress, then the time to the last gate.
 */
function compareResults(a: Standing, b: Standing): number {
  return (
    groupOf(a) - groupOf(b) ||
    b.stagesFinished - a.stagesFinished ||
    compareNumbers(a.totalMs, b.totalMs) ||
    (a.stagesFinished === 0 ? compareReached(a.current, b.current) : 0)
  );
}

function compareReached(a: StageResultRow | undefined, b: StageResultRow | undefined): number {
  return (
    (b?.gatesPassed ?? 0) - (a?.gatesPassed ?? 0) ||
    compareNumbers(b?.progressM ?? 0, a?.progressM ?? 0) ||
    compareNumbers(toLastGateMs(a), toLastGateMs(b))
  );
}

function toLastGateMs(row: StageResultRow | undefined): number | undefined {
  return row?.lastGateAtMs === undefined ? undefined : row.lastGateAtMs - (row.startAtMs ?? 0);
}

/** Without a number last. */
function compareNumbers(a: number | undefined, b: number | undefined): number {
  if (a === b) return 0;
  return (a ?? Infinity) < (b ?? Infinity) ? -1 : 1;
}

function compareEntries(a: Entry, b: Entry): number {
  return (
    compareNumbers(a.startOrder, b.startOrder) ||
    a.number.localeCompare(b.number, 'en', { numeric: true }) ||
    (a.id < b.id ? -1 : 1)
  );
}
