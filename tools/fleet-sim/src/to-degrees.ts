import type { RoadPlan } from './road.ts';

const metresPerDegree = 111_320;

export interface Degrees {
  readonly latitude: number;
  readonly longitude: number;
}

/** Degrees of a point that is so many metres from the origin. A tracker sends whole 10^-7 degrees. */
export function toDegrees(origin: RoadPlan['origin'], eastM: number, northM: number): Degrees {
  const degreesPerEastM = 1 / (metresPerDegree * Math.cos((origin.latitude * Math.PI) / 180));
  return {
    latitude: roundTo7(origin.latitude + northM / metresPerDegree),
    longitude: roundTo7(origin.longitude + eastM * degreesPerEastM),
  };
}

function roundTo7(degrees: number): number {
  return Math.round(degrees * 1e7) / 1e7;
}
