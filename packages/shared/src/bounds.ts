export const deviceIdPattern = /^[0-9A-Za-z_-]{1,32}$/;

/** Largest absolute values of a position's numbers, by field and in the units of the payload. */
export const maxAbs = {
  latitude: 90,
  longitude: 180,
  altitude: 1e6,
  angle: 360,
  speed: 1e6,
  satellites: 255,
} as const;

/** Postgres rejects a non-zero number too small for a `real`; no tracker measures anything below 1e-6. */
export function flushToZero(value: number): number {
  return Math.abs(value) < 1e-6 ? 0 : value;
}
