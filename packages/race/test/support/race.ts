import { metresPerDegreeEast, metresPerDegreeNorth } from '@app/geometry/plane-coordinates';
import type { Assignment, Entry, Gate, Race, Stage, Waypoint, Zone } from '../../src/course.ts';
import type { Decision } from '../../src/decision.ts';
import type { Fix } from '../../src/fix.ts';
import { defaultThresholds, type Thresholds } from '../../src/thresholds.ts';

/** Where and when all cases are: metres east and north of the origin, milliseconds after the start of the day. */
const origin = { latitude: 45, longitude: 7 };
export const dayMs = Date.UTC(2026, 5, 1);

const eastM = metresPerDegreeEast(origin.latitude);
const northM = metresPerDegreeNorth(origin.latitude);

/** [metres east, metres north]. */
export type Metres = readonly [number, number];

export function pointAt([east, north]: Metres) {
  return { latitude: origin.latitude + north / northM, longitude: origin.longitude + east / eastM };
}

function positionAt(metres: Metres): readonly number[] {
  const { latitude, longitude } = pointAt(metres);
  return [longitude, latitude];
}

/** A row with an id, which is its name as well, and whatever differs from the defaults. */
type Given<Row> = Partial<Row> & { readonly id: string };

/** Courses as cases write them: what is not given has a default. */
export interface GivenRace {
  readonly endS?: number;
  readonly thresholds?: Partial<Thresholds>;
  readonly stages?: readonly (Omit<Given<Stage>, 'line'> & {
    readonly line?: readonly Metres[];
    readonly startS?: number;
  })[];
  readonly gates?: readonly (Omit<Given<Gate>, 'left' | 'right'> & {
    readonly left?: Metres;
    readonly right?: Metres;
    readonly eastM?: number;
  })[];
  readonly waypoints?: readonly (Omit<Given<Waypoint>, 'position'> & { readonly at: Metres })[];
  readonly zones?: readonly (Omit<Given<Zone>, 'area'> & {
    readonly polygon?: readonly Metres[];
    readonly between?: readonly [string, string];
  })[];
  readonly entries?: readonly Given<Entry>[];
  readonly assignments?: readonly Partial<Assignment>[];
  readonly decisions?: readonly Decision[];
}

/** One stage to the east, from the gate S at 0 m to the gate F at 1,000 m; the entry 1 with the tracker A. */
export function makeRace(given: GivenRace = {}): Race {
  const stages = given.stages ?? [{ id: 'SS1' }];
  return {
    event: {
      id: 'rally',
      name: 'rally',
      startAtMs: dayMs - 86_400_000,
      endAtMs: dayMs + (given.endS ?? 86_400) * 1000,
      thresholds: { ...defaultThresholds, ...given.thresholds },
    },
    stages: stages.map(({ line, startS, ...row }, index) =>
      Object.assign(
        {
          name: row.id,
          order: index + 1,
          kind: 'special' as const,
          line: (
            line ?? [
              [0, 0],
              [1000, 0],
            ]
          ).map(positionAt),
          startAtMs: startS === undefined ? undefined : dayMs + startS * 1000,
          startIntervalS: 0,
          startBy: 'gate' as const,
          timeLimitS: undefined,
        },
        row,
      ),
    ),
    gates: (
      given.gates ?? [
        { id: 'S', eastM: 0 },
        { id: 'F', eastM: 1000 },
      ]
    ).map(makeGate),
    waypoints: (given.waypoints ?? []).map(({ at, ...row }, index) =>
      Object.assign(
        {
          stageId: 'SS1',
          name: row.id,
          order: index + 1,
          position: pointAt(at),
          radiusM: 90,
          kind: 'visible' as const,
          isAnyOrder: false,
          missedPenaltyS: 0,
        },
        row,
      ),
    ),
    zones: (given.zones ?? []).map(({ polygon = [], between, ...row }) =>
      Object.assign(
        {
          stageId: 'SS1',
          name: row.id,
          kind: 'speed' as const,
          area: between
            ? { fromWaypointId: between[0], toWaypointId: between[1] }
            : { polygon: polygon.map(positionAt) },
          limitKmh: 110,
          toleranceKmh: 0,
          graceM: 0,
          minimumDurationS: 0,
          penaltyFactor: 10,
        },
        row,
      ),
    ),
    entries: (given.entries ?? [{ id: '1' }]).map((row, index) =>
      Object.assign(
        {
          number: row.id,
          crew: `crew ${row.id}`,
          class: 'car',
          startOrder: index + 1,
          startAtMs: undefined,
          status: 'entered' as const,
        },
        row,
      ),
    ),
    assignments: (given.assignments ?? [{}]).map((row, index) =>
      Object.assign(
        {
          id: `assignment ${index + 1}`,
          entryId: '1',
          deviceId: 'A',
          order: index + 1,
          fromMs: undefined,
          untilMs: undefined,
        },
        row,
      ),
    ),
    decisions: given.decisions ?? [],
  };
}

type GivenGate = NonNullable<GivenRace['gates']>[number];

function makeGate(
  { left, right, eastM: east = 0, ...row }: GivenGate,
  index: number,
  all: readonly GivenGate[],
): Gate {
  const last = index === all.length - 1 ? 'finish' : 'split';
  const kind = row.kind ?? (index === 0 ? 'start' : last);
  return {
    stageId: 'SS1',
    name: row.id,
    order: index + 1,
    kind,
    left: pointAt(left ?? [east, 20]),
    right: pointAt(right ?? [east, -20]),
    direction: 'forward',
    deadTimeS: 10,
    crossing: kind === 'start' ? 'last' : 'first',
    ...row,
  };
}

/** A good fix, at seconds of the day. */
export function makeFix(atS: number, metres: Metres, speedKmh: number, more: Partial<Fix> = {}): Fix {
  return {
    fixAtMs: dayMs + Math.round(atS * 1000),
    ...pointAt(metres),
    speedKmh,
    hdop: 1,
    priority: 0,
    quality: 0,
    isFaulty: false,
    ...more,
  };
}
