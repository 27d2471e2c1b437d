export const deviceIdPattern = /^[0-9A-Za-z_-]{1,32}$/;

/** The most that a Position's numbers may be, in the units that their fields have in the payload. */
export const maxAbs = {
  latitude: 90,
  longitude: 180,
  altitude: 1e6,
  angle: 360,
  speed: 1e6,
  satellites: 255,
} as const;

/** Postgres refuses what is too small for a `real` and not 0; nothing that small is measured. */
export function flushToZero(value: number): number {
  return Math.abs(value) < 1e-6 ? 0 : value;
}
