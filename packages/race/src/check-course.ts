import { checkReferences } from './check-references.ts';
import type { Collection, CourseProblem, Report } from './course-problem.ts';
import type { Assignment, Course, Entry, Gate, Race, Stage, Waypoint } from './course.ts';
import type { Decision } from './decision.ts';
import { eventWindow, type EventWindow } from './event-window.ts';
import { prepareCourse, type PreparedCourse } from './prepare-course.ts';

/** The rows that can be used, and what race control is told about the others. */
export interface CheckedRace {
  readonly course: Course;
  readonly prepared: PreparedCourse;
  /** When fixes count, both ends included. */
  readonly window: EventWindow;
  readonly entries: readonly Entry[];
  readonly assignments: readonly Assignment[];
  readonly decisions: readonly Decision[];
  readonly problems: readonly CourseProblem[];
}

/**
 * Checks a race. A row that is wrong is left out with a problem, and harms no other row than those that refer to it. Of an
 * event that is refused there are no entries.
 */
export function checkCourse(race: Race): CheckedRace {
  const problems: CourseProblem[] = [];
  const refuse = (collection: Collection, id: string, message: string) =>
    problems.push({ collection, id, message, isRefused: true });
  const warn = (collection: Collection, id: string, message: string) =>
    problems.push({ collection, id, message, isRefused: false });
  const isRefused = ({ id }: { readonly id: string }) =>
    problems.some((problem) => problem.id === id && problem.isRefused);
  const usable = <Row extends { readonly id: string }>(rows: readonly Row[]) =>
    rows.filter((row) => !isRefused(row)).toSorted((a, b) => (a.id < b.id ? -1 : 1));

  const window = eventWindow(race);
  checkEvent(race, window, refuse, warn);
  checkStages(race.stages, refuse, warn);
  checkGateOrders(race.gates, race.stages, refuse);
  checkRadii(race.waypoints, race, refuse);
  checkLimits(race, refuse);
  checkAssignments(race.assignments, race.entries, refuse);
  checkReferences(race, refuse);
  checkResolutions(race, warn);

  const rows: Course = {
    thresholds: race.event.thresholds,
    stages: usable(race.stages).toSorted((a, b) => a.order - b.order),
    gates: usable(race.gates),
    waypoints: usable(race.waypoints),
    zones: usable(race.zones),
  };
  const withoutLine = new Set<string>();
  for (const { collection, id, message } of prepareCourse(rows).refused) {
    if (collection === 'stages') withoutLine.add(id);
    (collection === 'stages' ? warn : refuse)(collection, id, message);
  }
  const course: Course = {
    thresholds: rows.thresholds,
    stages: rows.stages.map((stage) => (withoutLine.has(stage.id) ? { ...stage, line: undefined } : stage)),
    gates: usable(rows.gates),
    waypoints: usable(rows.waypoints),
    zones: usable(rows.zones),
  };
  return {
    course,
    prepared: prepareCourse(course).prepared,
    window,
    entries: isRefused(race.event) ? [] : usable(race.entries),
    assignments: isRefused(race.event) ? [] : usable(race.assignments).toSorted((a, b) => a.order - b.order),
    decisions: usable(race.decisions),
    problems: problems.toSorted((a, b) => compare(a.collection, b.collection) || compare(a.id, b.id)),
  };
}

function checkEvent({ event }: Race, window: EventWindow, refuse: Report, warn: Report): void {
  if (window.fromMs === -Infinity) {
    refuse(
      'events',
      event.id,
      `The event ${event.name} has no start, and no stage or entry with a scheduled one; nothing of it is evaluated. Enter its start.`,
    );
  }
  if (event.endAtMs === undefined) {
    warn(
      'events',
      event.id,
      `The event ${event.name} has no end: nobody on a stage without a time limit will be DNF.`,
    );
  } else if (window.untilMs <= window.fromMs) {
    refuse(
      'events',
      event.id,
      `The event ${event.name} ends before it starts; nothing of it is evaluated. Correct its start or its end.`,
    );
  }
}

function checkStages(stages: readonly Stage[], refuse: Report, warn: Report): void {
  for (const stage of stages) {
    if (!stage.line) {
      warn(
        'stages',
        stage.id,
        `The stage ${stage.name} has no line: vehicles on it have times, but no progress.`,
      );
    }
    if (stage.startBy === 'schedule' && stage.startAtMs === undefined) {
      warn(
        'stages',
        stage.id,
        `The stage ${stage.name} is timed from its schedule, but has no scheduled start.`,
      );
    }
  }
  for (const [one, other] of sameOrders(stages)) {
    refuse('stages', one.id, `The stages ${one.name} and ${other.name} both have the order ${one.order}.`);
  }
}

function checkGateOrders(gates: readonly Gate[], stages: readonly Stage[], refuse: Report): void {
  for (const stage of stages) {
    const ofStage = gates.filter(({ stageId }) => stageId === stage.id);
    for (const [one, other] of sameOrders(ofStage)) {
      refuse(
        'gates',
        one.id,
        `The gates ${one.name} and ${other.name} of the stage ${stage.name} both have the order ${one.order}; neither can be timed.`,
      );
    }
    const orders = ofStage.map(({ order }) => order);
    for (const gate of ofStage) {
      const place = { start: Math.min(...orders), split: gate.order, finish: Math.max(...orders) }[gate.kind];
      if (gate.order !== place) {
        const where = gate.kind === 'start' ? 'first' : 'last';
        refuse(
          'gates',
          gate.id,
          `The gate ${gate.name} is a ${gate.kind}, but not the ${where} gate of the stage ${stage.name}.`,
        );
      }
    }
  }
}

function* sameOrders<Row extends { readonly id: string; readonly order: number }>(
  rows: readonly Row[],
): Iterable<readonly [Row, Row]> {
  for (const row of rows) {
    const other = rows.find((one) => one.id !== row.id && one.order === row.order);
    if (other) yield [row, other];
  }
}

/** Between two fixes a road may bend: the straight movement stays within the radius if that is half of its length. */
function checkRadii(waypoints: readonly Waypoint[], { event }: Race, refuse: Report): void {
  const { expectedSpeedKmh, fixIntervalS } = event.thresholds;
  const leastM = ((expectedSpeedKmh / 3.6) * fixIntervalS) / 2;
  for (const { id, name, radiusM } of waypoints) {
    if (radiusM > 0 && radiusM < leastM) {
      refuse(
        'waypoints',
        id,
        `The radius of the waypoint ${name} is ${radiusM} m; at ${expectedSpeedKmh} km/h and a fix every ${fixIntervalS} s it must be at least ${Math.ceil(leastM)} m, or vehicles that pass it are reported as missing it.`,
      );
    }
  }
}

function checkLimits({ zones, gates }: Race, refuse: Report): void {
  for (const { id, name, kind, limitKmh } of zones) {
    if (kind === 'speed' && !(limitKmh > 0))
      refuse('zones', id, `The speed zone ${name} has no limit above 0 km/h.`);
  }
  for (const { id, name, deadTimeS } of gates) {
    if (!(deadTimeS >= 0))
      refuse('gates', id, `The dead time of the gate ${name} is not a number of seconds.`);
  }
}

/** Clocks may differ by minutes. */
const maxAheadMinutes = 5;

/** A time typed wrongly would hide an SOS that is yet to come. A tracker's clock that is ahead may need such a time. */
function checkResolutions({ decisions, entries }: Race, warn: Report): void {
  for (const decision of decisions) {
    if (decision.kind !== 'incident_resolved' || decision.decidedAtMs === 0) continue;
    const aheadMinutes = Math.round((decision.atMs - decision.decidedAtMs) / 60_000);
    if (!(aheadMinutes > maxAheadMinutes)) continue;
    const number = entries.find(({ id }) => id === decision.entryId)?.number ?? decision.entryId;
    const what = decision.incident === 'sos' ? 'an SOS' : 'a stop';
    warn(
      'decisions',
      decision.id,
      `The decision that resolves ${what} of the entry ${number} names a time ${aheadMinutes} min after it was made: whatever is seen until then counts as resolved. Correct the time, unless the tracker's clock is as far ahead.`,
    );
  }
}

/** What a tracker sends counts for nobody while two entries claim it: a missing result is better than a wrong one. */
function checkAssignments(
  assignments: readonly Assignment[],
  entries: readonly Entry[],
  refuse: Report,
): void {
  const nameOf = (entryId: string) => entries.find(({ id }) => id === entryId)?.number ?? entryId;
  for (const one of assignments) {
    const other = assignments.find(
      (candidate) =>
        candidate.deviceId === one.deviceId &&
        candidate.entryId !== one.entryId &&
        (candidate.fromMs ?? -Infinity) < (one.untilMs ?? Infinity) &&
        (one.fromMs ?? -Infinity) < (candidate.untilMs ?? Infinity),
    );
    if (other) {
      const [first, second] = [nameOf(one.entryId), nameOf(other.entryId)].toSorted();
      refuse(
        'entry_devices',
        one.id,
        `The device ${one.deviceId} is in the entries ${first} and ${second} at the same time; it counts for neither.`,
      );
    }
  }
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
