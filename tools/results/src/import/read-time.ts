/** What a time without a date or an offset means. */
export interface LocalTime {
  readonly date: string | undefined;
  readonly timeZone: string | undefined;
}

const withOffset = /^(\d{4}-\d\d-\d\d)[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:?\d\d)$/iu;
const withoutOffset = /^(?:(\d{4}-\d\d-\d\d)[T ])?(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,3}))?)?$/u;
const dayMs = 86_400_000;

/**
 * Reads a start time: ISO 8601 with an offset, or a time of day, with or without its date, in a time zone.
 *
 * @returns epoch milliseconds, or what is wrong with it
 */
export function readTime(text: string, { date, timeZone }: LocalTime): number | { readonly problem: string } {
  const missing = { problem: `the time ${text} does not exist` };
  const [, dayWithOffset] = withOffset.exec(text) ?? [];
  if (dayWithOffset !== undefined) {
    const atMs = Date.parse(text.replace(' ', 'T'));
    return Number.isNaN(atMs) || !isDay(dayWithOffset) ? missing : atMs;
  }
  const [, ownDate, hour, minute, second = '00', fraction = ''] = withoutOffset.exec(text) ?? [];
  if (hour === undefined) {
    return { problem: `the time ${JSON.stringify(text)} must be like 2026-07-04T09:05:00+03:00 or 09:05:00` };
  }
  if (timeZone === undefined) return { problem: `the time ${text} has no offset; give --time-zone` };
  const day = ownDate ?? date;
  if (day === undefined) return { problem: `the time ${text} has no date; give --date` };
  const local = `${day}T${hour.padStart(2, '0')}:${minute}:${second}.${fraction.padEnd(3, '0')}`;
  const asUtcMs = Date.parse(`${local}Z`);
  if (Number.isNaN(asUtcMs) || !isDay(day)) return missing;
  // The offset of the zone is that of the day before or after, or changes in between.
  const offsetsMs = [asUtcMs - dayMs, asUtcMs + dayMs].map((atMs) => offsetAtMs(atMs, timeZone));
  const found = [...new Set(offsetsMs)]
    .map((offsetMs) => asUtcMs - offsetMs)
    .filter((atMs) => atMs + offsetAtMs(atMs, timeZone) === asUtcMs);
  const [atMs] = found;
  if (atMs !== undefined && found.length === 1) return atMs;
  const what = atMs === undefined ? 'does not exist' : 'is there twice';
  return {
    problem: `the time ${text} ${what} in ${timeZone}, where clocks change; write it with its offset`,
  };
}

/** `Date.parse` takes 30 February for 2 March. */
export function isDay(text: string): boolean {
  if (!/^\d{4}-\d\d-\d\d$/u.test(text)) return false;
  const time = new Date(`${text}T00:00:00Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(text);
}

function offsetAtMs(atMs: number, timeZone: string): number {
  const format = new Intl.DateTimeFormat('en', { timeZone, timeZoneName: 'longOffset' });
  const name = format.formatToParts(atMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign, hours, minutes = '0', seconds = '0'] =
    /^GMT([+-])(\d+)(?::(\d+))?(?::(\d+))?$/u.exec(name) ?? [];
  // `GMT` alone.
  if (hours === undefined) return 0;
  return ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * (sign === '-' ? -1000 : 1000);
}
