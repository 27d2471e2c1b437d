import type { LivePosition } from '@app/live-client';

const movingKmh = 3;
/** A vehicle without a fix for longer than this is shown but does not count as reporting. */
const reportingMs = 60_000;

/** Summarises the positions that a viewer sees in one line. */
export function describeRace(positions: Iterable<LivePosition>, nowMs: number): string {
  const shown = [...positions];
  if (shown.length === 0) return 'no vehicles yet';
  const reporting = shown.filter(({ ts }) => nowMs - ts < reportingMs);
  const moving = reporting.filter(({ speed = 0 }) => speed >= movingKmh);
  const newestMs = shown.reduce((newest, { ts }) => Math.max(newest, ts), -Infinity);
  const fastest = moving.toSorted((a, b) => (b.speed ?? 0) - (a.speed ?? 0))[0];
  return [
    `${shown.length} shown, ${reporting.length} reporting, ${moving.length} moving`,
    `newest fix ${((nowMs - newestMs) / 1000).toFixed(1)} s old`,
    ...(fastest === undefined
      ? []
      : [`fastest ${Math.round(fastest.speed ?? 0)} km/h${locationOf(fastest)}`]),
  ].join('; ');
}

function locationOf({ lat, lon }: LivePosition): string {
  return ` at ${lat.toFixed(4)} ${lon.toFixed(4)}`;
}
