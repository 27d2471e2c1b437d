import { prepareTarget, type Target } from '@app/geometry/closest-approach';
import { prepareGate, type Gate as GateLine } from '@app/geometry/gate-crossing';
import type { GeoPoint } from '@app/geometry/geo-point';
import { GeometryError } from '@app/geometry/geometry-error';
import { prepareLine, type Line } from '@app/geometry/line';
import { prepareBox, type NearBox } from '@app/geometry/near-box';
import { metresPerDegreeEast, metresPerDegreeNorth } from '@app/geometry/plane-coordinates';
import { preparePolygon, type Polygon } from '@app/geometry/polygon';
import { offTrackM } from '@app/geometry/progress';
import type { Course, Gate, Stage, Waypoint, Zone } from './course.ts';
import type { Thresholds } from './thresholds.ts';

export interface PreparedGate {
  readonly row: Gate;
  readonly line: GateLine;
}

export interface PreparedWaypoint {
  readonly row: Waypoint;
  /** Reaches to the radius and the hysteresis. */
  readonly target: Target;
}

/** Between two circles a vehicle is inside from leaving the first until reaching the second. */
export type PreparedArea =
  | { readonly polygon: Polygon }
  | { readonly fromCircle: Polygon; readonly toCircle: Polygon };

export interface PreparedZone {
  readonly row: Zone;
  readonly area: PreparedArea;
}

export interface PreparedStage {
  readonly row: Stage;
  readonly line: Line;
  /** Everything that is not off track. */
  readonly box: NearBox;
  readonly startGate: GateLine | undefined;
}

/** A course as the rules read it, in the order of its rows. */
export interface PreparedCourse {
  readonly thresholds: Thresholds;
  /** Those with a line. */
  readonly stages: readonly PreparedStage[];
  readonly gates: readonly PreparedGate[];
  readonly waypoints: readonly PreparedWaypoint[];
  readonly zones: readonly PreparedZone[];
}

export interface RefusedShape {
  readonly collection: 'stages' | 'gates' | 'waypoints' | 'zones';
  readonly id: string;
  /** A sentence. */
  readonly message: string;
}

/** Prepares each shape, and says of each that cannot be used why not. The others are not affected. */
export function prepareCourse(course: Course): {
  readonly prepared: PreparedCourse;
  readonly refused: readonly RefusedShape[];
} {
  const refused: RefusedShape[] = [];
  const prepareAll = <Row extends { readonly id: string; readonly name: string }, Prepared>(
    collection: RefusedShape['collection'],
    rows: readonly Row[],
    prepare: (row: Row) => Prepared | GeometryError | undefined,
  ): readonly Prepared[] =>
    rows.flatMap((row) => {
      const prepared = prepare(row);
      if (prepared instanceof GeometryError) {
        const message = `The ${collection.slice(0, -1)} ${row.name}: ${prepared.message}`;
        refused.push({ collection, id: row.id, message });
        return [];
      }
      return prepared === undefined ? [] : [prepared];
    });

  const gates = prepareAll('gates', course.gates, prepareGateRow);
  const waypoints = prepareAll('waypoints', course.waypoints, (row) =>
    prepareWaypoint(row, course.thresholds.edgeHysteresisM),
  );
  const stages = prepareAll('stages', course.stages, (row) => prepareStage(row, gates));
  const zones = prepareAll('zones', course.zones, (row) => prepareZone(row, course.waypoints));
  return { prepared: { thresholds: course.thresholds, stages, gates, waypoints, zones }, refused };
}

function prepareGateRow(row: Gate): PreparedGate | GeometryError {
  const line = prepareGate(row.left, row.right);
  return line instanceof GeometryError ? line : { row, line };
}

function prepareWaypoint(row: Waypoint, edgeHysteresisM: number): PreparedWaypoint | GeometryError {
  if (!(row.radiusM > 0)) {
    return new GeometryError(`The radius is ${row.radiusM} m; it must be more than 0 m.`);
  }
  const target = prepareTarget(row.position, row.radiusM + edgeHysteresisM);
  return target instanceof GeometryError ? target : { row, target };
}

function prepareStage(row: Stage, gates: readonly PreparedGate[]): PreparedStage | GeometryError | undefined {
  if (!row.line) return undefined;
  const line = prepareLine(row.line);
  if (line instanceof GeometryError) return line;
  const points = row.line.map(([longitude = 0, latitude = 0]) => ({ longitude, latitude }));
  const start = gates.find((gate) => gate.row.stageId === row.id && gate.row.kind === 'start');
  return { row, line, box: prepareBox(points, offTrackM), startGate: start?.line };
}

function prepareZone(row: Zone, waypoints: readonly Waypoint[]): PreparedZone | GeometryError {
  if ('polygon' in row.area) {
    const polygon = preparePolygon([row.area.polygon]);
    return polygon instanceof GeometryError ? polygon : { row, area: { polygon } };
  }
  const { fromWaypointId, toWaypointId } = row.area;
  const from = waypoints.find(({ id }) => id === fromWaypointId);
  const to = waypoints.find(({ id }) => id === toWaypointId);
  if (!from || !to) return new GeometryError('A waypoint that bounds the zone does not exist.');
  const fromCircle = prepareCircle(from.position, from.radiusM);
  if (fromCircle instanceof GeometryError) return fromCircle;
  const toCircle = prepareCircle(to.position, to.radiusM);
  return toCircle instanceof GeometryError ? toCircle : { row, area: { fromCircle, toCircle } };
}

/** A polygon of so many corners is within 0.12 % of the radius of the circle. */
const circleCorners = 64;

function prepareCircle({ latitude, longitude }: GeoPoint, radiusM: number): Polygon | GeometryError {
  const eastDeg = radiusM / metresPerDegreeEast(latitude);
  const northDeg = radiusM / metresPerDegreeNorth(latitude);
  const corners = Array.from({ length: circleCorners }, (_, corner) => {
    const angle = (2 * Math.PI * corner) / circleCorners;
    return [longitude + eastDeg * Math.cos(angle), latitude + northDeg * Math.sin(angle)];
  });
  return preparePolygon([corners]);
}
