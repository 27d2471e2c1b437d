import type { LivePosition } from '@app/live-client';

const movingKmh = 3;
/** A vehicle that has been silent for longer is shown, and not counted among those that are heard. */
const heardMs = 60_000;

/** One line about what a viewer sees at that moment. */
export function describeRace(positions: Iterable<LivePosition>, nowMs: number): string {
  const shown = [...positions];
  if (shown.length === 0) return 'no vehicle is shown yet';
  const heard = shown.filter(({ ts }) => nowMs - ts < heardMs);
  const moving = heard.filter(({ speed = 0 }) => speed >= movingKmh);
  const newestMs = shown.reduce((newest, { ts }) => Math.max(newest, ts), -Infinity);
  const fastest = moving.toSorted((a, b) => (b.speed ?? 0) - (a.speed ?? 0))[0];
  return [
    `${shown.length} shown, ${heard.length} heard within a minute, ${moving.length} moving`,
    `newest fix ${((nowMs - newestMs) / 1000).toFixed(1)} s old`,
    ...(fastest === undefined ? [] : [`fastest ${Math.round(fastest.speed ?? 0)} km/h${placeOf(fastest)}`]),
  ].join('; ');
}

function placeOf({ lat, lon }: LivePosition): string {
  return ` at ${lat.toFixed(4)} ${lon.toFixed(4)}`;
}
