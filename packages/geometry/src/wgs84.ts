/** Semi-major axis in metres, and first eccentricity squared of WGS 84 (NIMA TR8350.2). */
const semiMajorM = 6_378_137;
const flattening = 1 / 298.257223563;
export const eccentricity2 = flattening * (2 - flattening);

export const radiansPerDegree = Math.PI / 180;

/** Radius of curvature in the prime vertical (N), in metres. */
export function primeVerticalRadiusM(sinLatitude: number): number {
  return semiMajorM / Math.sqrt(1 - eccentricity2 * sinLatitude * sinLatitude);
}

/** Radius of curvature in the meridian (M), in metres. */
export function meridianRadiusM(sinLatitude: number): number {
  const w2 = 1 - eccentricity2 * sinLatitude * sinLatitude;
  return (semiMajorM * (1 - eccentricity2)) / (w2 * Math.sqrt(w2));
}
