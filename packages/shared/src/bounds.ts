/** The most that a Position's numbers may be, in the units that their fields have in the payload. */
export const most = {
  latitude: 90,
  longitude: 180,
  altitude: 1e6,
  angle: 360,
  speed: 1e6,
  satellites: 255,
} as const;

/** JSONB has no -0. */
export function fromMinusZero(value: number): number {
  return value === 0 ? 0 : value;
}

/** Postgres refuses what is too small for a `real` and not 0; nothing that small is measured. */
export function forReal(value: number): number {
  return Math.abs(value) < 1e-6 ? 0 : value;
}
