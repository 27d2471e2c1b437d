import { circuit, village } from './circuit.ts';
import { buildRoad, type Road } from './road.ts';
import { toDegrees, type Degrees } from './to-degrees.ts';

type GeoJsonPosition = readonly [longitude: number, latitude: number];

interface CourseStage {
  readonly name: string;
  readonly line: readonly GeoJsonPosition[];
  readonly gates: readonly CourseGate[];
  readonly waypoints: readonly CourseWaypoint[];
  readonly zones: readonly CourseZone[];
}

interface CourseGate {
  readonly name: string;
  readonly kind: 'start' | 'split' | 'finish';
  /** Along the road from the start line. */
  readonly offsetM: number;
  readonly left: Degrees;
  readonly right: Degrees;
}

interface CourseWaypoint extends Degrees {
  readonly name: string;
  readonly kind: 'visible' | 'hidden';
  readonly radiusM: number;
  readonly missedPenaltyS: number;
}

interface CourseZone {
  readonly name: string;
  readonly kind: 'speed' | 'protected';
  readonly polygon: readonly GeoJsonPosition[];
  readonly limitKmh: number | undefined;
}

/** Where on a lap of the circuit, in metres from the start line, before which vehicles queue. */
const plan = [
  { name: 'SS 1', fromM: 100, toM: 2500, waypoints: 7, zone: { kind: 'protected', fromM: 1350, toM: 1600 } },
  {
    name: 'SS 2',
    fromM: 2700,
    toM: 5100,
    waypoints: 7,
    zone: { kind: 'speed', fromM: village.fromM, toM: village.toM },
  },
  { name: 'SS 3', fromM: 5300, toM: 7700, waypoints: 6, zone: undefined },
] as const;

const lineSpacingM = 25;
const gateHalfWidthM = 12;
const zoneHalfWidthM = 15;
const zoneSpacingM = 10;

/** Three stages on the circuit of the simulated race, with 12 gates, 20 waypoints, a speed and a protected zone. */
export function buildCourse(): readonly CourseStage[] {
  const road = buildRoad(circuit);
  return plan.map(({ name, fromM, toM, waypoints, zone }) => ({
    name,
    line: range(fromM, toM, lineSpacingM).map((offsetM) => positionOf(beside(road, offsetM, 0))),
    gates: [0, 1, 2, 3].map((n) => {
      const offsetM = fromM + ((toM - fromM) * n) / 3;
      const kind = n === 0 ? 'start' : 'split';
      return {
        name: ['Start', 'Split 1', 'Split 2', 'Finish'][n] ?? '',
        kind: n === 3 ? 'finish' : kind,
        offsetM,
        left: beside(road, offsetM, -gateHalfWidthM),
        right: beside(road, offsetM, gateHalfWidthM),
      };
    }),
    waypoints: Array.from({ length: waypoints }, (_, n) => ({
      name: `WP ${n + 1}`,
      kind: n === 4 ? 'hidden' : 'visible',
      ...beside(road, fromM + ((toM - fromM) * (n + 0.5)) / waypoints, 0),
      radiusM: 30,
      missedPenaltyS: 60,
    })),
    zones: zone === undefined ? [] : [corridor(road, zone)],
  }));
}

function corridor(
  road: Road,
  { kind, fromM, toM }: { kind: 'speed' | 'protected'; fromM: number; toM: number },
): CourseZone {
  const offsets = range(fromM, toM, zoneSpacingM);
  const left = offsets.map((offsetM) => positionOf(beside(road, offsetM, -zoneHalfWidthM)));
  const right = offsets.map((offsetM) => positionOf(beside(road, offsetM, zoneHalfWidthM)));
  return {
    name: kind === 'speed' ? 'Village' : 'Hairpin',
    kind,
    polygon: [...left, ...right.toReversed(), ...left.slice(0, 1)],
    limitKmh: kind === 'speed' ? village.limitKmh : undefined,
  };
}

/** The point of the road, or so many metres to its right. */
function beside(road: Road, offsetM: number, rightM: number): Degrees {
  const { eastM, northM, courseDeg } = road.at(offsetM);
  const course = (courseDeg * Math.PI) / 180;
  return toDegrees(road.origin, eastM + rightM * Math.cos(course), northM - rightM * Math.sin(course));
}

function positionOf({ latitude, longitude }: Degrees): GeoJsonPosition {
  return [longitude, latitude];
}

function range(from: number, to: number, step: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, n) => from + n * step);
}
