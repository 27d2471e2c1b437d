/** Metres east and north of the road's origin, and above sea level. */
export type Waypoint = readonly [eastM: number, northM: number, altitudeM: number];

export interface RoadPlan {
  /** Degrees, WGS 84. */
  readonly origin: { readonly latitude: number; readonly longitude: number };
  /** A closed circuit: the first follows the last. */
  readonly waypoints: readonly Waypoint[];
  readonly speedLimits: readonly SpeedLimit[];
}

/** Where drivers keep below a speed. Distances are along the road. */
export interface SpeedLimit {
  readonly fromM: number;
  readonly toM: number;
  readonly limitKmh: number;
}

export interface RoadPoint {
  readonly eastM: number;
  readonly northM: number;
  readonly altitudeM: number;
  /** From north, clockwise, 0 to below 360. */
  readonly courseDeg: number;
  /** Maximum speed here by grip, brakes, engine and speed limits. */
  readonly limitMps: number;
}

export interface Road {
  readonly origin: RoadPlan['origin'];
  readonly lengthM: number;
  readonly points: readonly RoadPoint[];
  /** The nearest point at a distance along the road, in either direction and beyond one lap. */
  at(offsetM: number): RoadPoint;
}

/** Limits of a rally car on gravel. */
export const grip = { sidewaysMps2: 5.5, brakingMps2: 4.5, acceleratingMps2: 3.2, topMps: 42 } as const;

const spacingM = 2;
/** Drivers stay below a speed limit by this much, and from this far before it until this far behind it. */
const speedMargin = { kmh: 5, m: 50 };

/**
 * Builds a road through the waypoints with speed limits: √(sideways grip × r) in a curve of radius r, and between curves
 * what the car can reach after the last one and brake from before the next one.
 */
export function buildRoad(plan: RoadPlan): Road {
  const road = spaceEvenly(smoothCircuit(plan.waypoints));
  const stepM = road.lengthM / road.points.length;
  const limits = reachableSpeeds(road.points, stepM, plan.speedLimits);

  const points = road.points.map(([eastM, northM, altitudeM], index): RoadPoint => {
    const [nextEastM, nextNorthM] = wrapped(road.points, index + 1);
    const courseDeg = (Math.atan2(nextEastM - eastM, nextNorthM - northM) * 180) / Math.PI;
    return {
      eastM,
      northM,
      altitudeM,
      courseDeg: (courseDeg + 360) % 360,
      limitMps: limits[index] ?? 0,
    };
  });
  return {
    origin: plan.origin,
    lengthM: road.lengthM,
    points,
    at: (offsetM) => wrapped(points, Math.round(offsetM / stepM)),
  };
}

/** A centripetal Catmull-Rom spline: passes through each waypoint, without the loops of a uniform one. */
function smoothCircuit(waypoints: readonly Waypoint[]): Waypoint[] {
  return waypoints.flatMap((_, index) => {
    const before = wrapped(waypoints, index - 1);
    const from = wrapped(waypoints, index);
    const to = wrapped(waypoints, index + 1);
    const after = wrapped(waypoints, index + 2);
    const knotBefore = -knotDistance(before, from);
    const knotTo = knotDistance(from, to);
    const knotAfter = knotTo + knotDistance(to, after);
    const steps = Math.max(2, Math.ceil(distanceM(from, to) * 4));

    return Array.from({ length: steps }, (__, step): Waypoint => {
      const t = (knotTo * step) / steps;
      // The algorithm of Barry and Goldman: three rounds of linear interpolation.
      const a1 = blend(before, from, knotBefore, 0, t);
      const a2 = blend(from, to, 0, knotTo, t);
      const a3 = blend(to, after, knotTo, knotAfter, t);
      const b1 = blend(a1, a2, knotBefore, knotTo, t);
      const b2 = blend(a2, a3, 0, knotAfter, t);
      return blend(b1, b2, 0, knotTo, t);
    });
  });
}

function spaceEvenly(curve: readonly Waypoint[]): { points: Waypoint[]; lengthM: number } {
  const lengthsM = curve.map((point, index) => distanceM(point, wrapped(curve, index + 1)));
  const lengthM = lengthsM.reduce((sum, pieceM) => sum + pieceM, 0);
  const count = Math.round(lengthM / spacingM);

  const points: Waypoint[] = [];
  let piece = 0;
  let pieceStartM = 0;
  for (let index = 0; index < count; index += 1) {
    const targetM = (lengthM * index) / count;
    while (pieceStartM + (lengthsM[piece] ?? Infinity) < targetM) {
      pieceStartM += lengthsM[piece] ?? 0;
      piece += 1;
    }
    const pieceEndM = pieceStartM + (lengthsM[piece] ?? 0);
    points.push(blend(wrapped(curve, piece), wrapped(curve, piece + 1), pieceStartM, pieceEndM, targetM));
  }
  return { points, lengthM };
}

function reachableSpeeds(
  points: readonly Waypoint[],
  stepM: number,
  speedLimits: RoadPlan['speedLimits'],
): number[] {
  const limits = points.map((_, index) => {
    const curvature = curvaturePerM(
      wrapped(points, index - 2),
      wrapped(points, index),
      wrapped(points, index + 2),
    );
    const allowedMps = speedLimits
      .filter(({ fromM, toM }) => {
        const offsetM = index * stepM;
        return offsetM >= fromM - speedMargin.m && offsetM <= toM + speedMargin.m;
      })
      .map(({ limitKmh }) => (limitKmh - speedMargin.kmh) / 3.6);
    return Math.min(grip.topMps, ...allowedMps, Math.sqrt(grip.sidewaysMps2 / Math.max(curvature, 1e-6)));
  });
  const count = limits.length;
  // Two laps, because on a circuit the first curve limits the last straight.
  for (let index = 2 * count; index > 0; index -= 1) {
    const reachable = Math.sqrt((limits[index % count] ?? 0) ** 2 + 2 * grip.brakingMps2 * stepM);
    limits[(index - 1) % count] = Math.min(limits[(index - 1) % count] ?? 0, reachable);
  }
  for (let index = 0; index < 2 * count; index += 1) {
    const reachable = Math.sqrt((limits[index % count] ?? 0) ** 2 + 2 * grip.acceleratingMps2 * stepM);
    limits[(index + 1) % count] = Math.min(limits[(index + 1) % count] ?? 0, reachable);
  }
  return limits;
}

/** 1 / radius of the circle through three points, in the horizontal plane. */
function curvaturePerM(a: Waypoint, b: Waypoint, c: Waypoint): number {
  const twiceAreaM2 = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]);
  return (2 * Math.abs(twiceAreaM2)) / (flatM(a, b) * flatM(b, c) * flatM(c, a));
}

function blend(from: Waypoint, to: Waypoint, tFrom: number, tTo: number, t: number): Waypoint {
  const share = tTo === tFrom ? 0 : (t - tFrom) / (tTo - tFrom);
  return [
    from[0] + (to[0] - from[0]) * share,
    from[1] + (to[1] - from[1]) * share,
    from[2] + (to[2] - from[2]) * share,
  ];
}

function knotDistance(a: Waypoint, b: Waypoint): number {
  return Math.sqrt(distanceM(a, b));
}

function distanceM(a: Waypoint, b: Waypoint): number {
  return Math.hypot(b[0] - a[0], b[1] - a[1], b[2] - a[2]);
}

function flatM(a: Waypoint, b: Waypoint): number {
  return Math.hypot(b[0] - a[0], b[1] - a[1]);
}

function wrapped<T>(ring: readonly T[], index: number): T {
  const item = ring[((index % ring.length) + ring.length) % ring.length];
  if (item === undefined) throw new Error('a road needs at least one waypoint');
  return item;
}
