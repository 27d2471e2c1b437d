/** 9999-12-31T23:59:59.999Z: the last time with a four-digit year. */
export const latestTimestampMs = 253_402_300_799_999;

// Makes any number that contains it negative. Not NaN, which would turn the arithmetic into doubles.
const notADigit = -10_000;

// In a common year.
const daysBeforeMonth = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Parses a strict RFC 3339 date-time into whole epoch milliseconds; undefined for any other string.
 *
 * Not `Date.parse`, which accepts `1`, 30 February and much else. As in the RFC, `T` and `Z` may be lower case, a
 * fraction has one digit or more, and `-00:00` is UTC. Digits below a millisecond are truncated, not rounded, so that no
 * fix becomes later than its tracker reported. A leap second (`:60`) is not parsed: neither epoch milliseconds nor Postgres
 * have it, and it would become the second after it. The result may lie in any year that four digits and an offset can
 * express; the caller checks the range.
 */
export function parseTimestamp(value: string): number | undefined {
  const year = twoDigits(value, 0) * 100 + twoDigits(value, 2);
  const month = twoDigits(value, 5);
  const day = twoDigits(value, 8);
  const hour = twoDigits(value, 11);
  const minute = twoDigits(value, 14);
  const second = twoDigits(value, 17);
  // A character that is not a digit makes the number negative.
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return undefined;
  if (!isOneOf(value, 4, '-', '-') || !isOneOf(value, 7, '-', '-')) return undefined;
  if (!isOneOf(value, 10, 'T', 't')) return undefined;
  if (!isOneOf(value, 13, ':', ':') || !isOneOf(value, 16, ':', ':')) return undefined;

  let at = 19;
  let fractionMs = 0;
  if (isOneOf(value, at, '.', '.')) {
    let digits = 0;
    for (;;) {
      const digit = digitAt(value, at + 1 + digits);
      if (digit < 0) break;
      if (digits < 3) fractionMs = fractionMs * 10 + digit;
      digits += 1;
    }
    if (digits === 0) return undefined;
    at += 1 + digits;
    if (digits < 3) fractionMs *= digits === 1 ? 100 : 10;
  }
  const offsetMinutes = parseUtcOffset(value, at);
  if (offsetMinutes === undefined) return undefined;

  return (
    (epochDays(year, month, day) * 86_400 + hour * 3600 + (minute - offsetMinutes) * 60 + second) * 1000 +
    fractionMs
  );
}

/** The UTC offset at `at`, where the string must end, in minutes ahead of UTC. */
function parseUtcOffset(value: string, at: number): number | undefined {
  if (isOneOf(value, at, 'Z', 'z')) return value.length === at + 1 ? 0 : undefined;
  if (!isOneOf(value, at, '+', '-') || !isOneOf(value, at + 3, ':', ':') || value.length !== at + 6)
    return undefined;
  const hours = twoDigits(value, at + 1);
  const minutes = twoDigits(value, at + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return undefined;
  return isOneOf(value, at, '-', '-') ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

function digitAt(value: string, at: number): number {
  const digit = value.charCodeAt(at) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : notADigit;
}

function twoDigits(value: string, at: number): number {
  return digitAt(value, at) * 10 + digitAt(value, at + 1);
}

function isOneOf(value: string, at: number, a: string, b: string): boolean {
  const code = value.charCodeAt(at);
  return code === a.charCodeAt(0) || code === b.charCodeAt(0);
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysInMonth(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : (daysOfMonth[month - 1] ?? 0);
}

/** Days since 1970-01-01. Not Date.UTC, which maps the years 0..99 to 1900..1999. */
function epochDays(year: number, month: number, day: number): number {
  const yearDay = (daysBeforeMonth[month - 1] ?? 0) + (month > 2 && isLeapYear(year) ? 1 : 0) + day - 1;
  return (year - 1970) * 365 + leapYearsBefore(year) - leapYearsBefore(1970) + yearDay;
}

function leapYearsBefore(year: number): number {
  const last = year - 1;
  return Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / 400);
}
