/** 9999-12-31T23:59:59.999Z: the last time whose year has four digits. */
export const latestTimestampMs = 253_402_300_799_999;

// Less than what any four digits can make up for. Not NaN, for which everything would be counted in doubles.
const noDigit = -10_000;

// Of a common year.
const daysBeforeMonth = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * Reads a strict RFC 3339 date-time into whole epoch milliseconds; undefined where the text is none.
 *
 * `Date.parse` takes `1`, 30 February and much else, so each character is looked at. As the RFC has it, `T` and `Z` may be
 * lower case, a fraction has one digit or more, and `-00:00` is UTC. What is finer than a millisecond is cut off, not
 * rounded: no fix becomes later than its tracker said. A second of 60 is taken only where a leap second can be, in
 * the last minute of a UTC month, and counts as the first second of the next day, as in POSIX time. The result may lie
 * in any year that four digits and an offset can name: whoever calls sets the bounds.
 *
 * @param from, to where the date-time stands in the text; all of it unless given.
 */
export function parseTimestamp(text: string, from = 0, to = text.length): number | undefined {
  const year = twoDigits(text, from) * 100 + twoDigits(text, from + 2);
  const month = twoDigits(text, from + 5);
  const day = twoDigits(text, from + 8);
  const hour = twoDigits(text, from + 11);
  const minute = twoDigits(text, from + 14);
  const second = twoDigits(text, from + 17);
  // A character that is no digit makes all of them negative.
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return undefined;
  if (!isOneOf(text, from + 4, '-', '-') || !isOneOf(text, from + 7, '-', '-')) return undefined;
  if (!isOneOf(text, from + 10, 'T', 't')) return undefined;
  if (!isOneOf(text, from + 13, ':', ':') || !isOneOf(text, from + 16, ':', ':')) return undefined;

  let at = from + 19;
  let fractionMs = 0;
  if (isOneOf(text, at, '.', '.')) {
    let digits = 0;
    for (;;) {
      const digit = digitAt(text, at + 1 + digits);
      if (digit < 0) break;
      if (digits < 3) fractionMs = fractionMs * 10 + digit;
      digits += 1;
    }
    if (digits === 0) return undefined;
    at += 1 + digits;
    if (digits < 3) fractionMs *= digits === 1 ? 100 : 10;
  }
  const offsetMinutes = readOffset(text, at, to);
  if (offsetMinutes === undefined) return undefined;

  const epochSeconds =
    epochDays(year, month, day) * 86_400 + hour * 3600 + (minute - offsetMinutes) * 60 + second;
  if (second === 60 && !startsMonth(epochSeconds)) return undefined;
  return epochSeconds * 1000 + fractionMs;
}

/** The zone that the text must end in, as minutes ahead of UTC. */
function readOffset(text: string, at: number, to: number): number | undefined {
  if (isOneOf(text, at, 'Z', 'z')) return to === at + 1 ? 0 : undefined;
  if (!isOneOf(text, at, '+', '-') || !isOneOf(text, at + 3, ':', ':') || to !== at + 6) return undefined;
  const hours = twoDigits(text, at + 1);
  const minutes = twoDigits(text, at + 4);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return undefined;
  return isOneOf(text, at, '-', '-') ? -(hours * 60 + minutes) : hours * 60 + minutes;
}

function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : noDigit;
}

function twoDigits(text: string, at: number): number {
  return digitAt(text, at) * 10 + digitAt(text, at + 1);
}

function isOneOf(text: string, at: number, either: string, or: string): boolean {
  const code = text.charCodeAt(at);
  return code === either.charCodeAt(0) || code === or.charCodeAt(0);
}

function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function daysInMonth(year: number, month: number): number {
  return month === 2 && isLeapYear(year) ? 29 : (daysOfMonth[month - 1] ?? 0);
}

/** Days since 1970-01-01. Not Date.UTC, which takes the years 0..99 for 1900..1999. */
function epochDays(year: number, month: number, day: number): number {
  const yearDay = (daysBeforeMonth[month - 1] ?? 0) + (month > 2 && isLeapYear(year) ? 1 : 0) + day - 1;
  return (year - 1970) * 365 + leapYearsBefore(year) - leapYearsBefore(1970) + yearDay;
}

function leapYearsBefore(year: number): number {
  const last = year - 1;
  return Math.floor(last / 4) - Math.floor(last / 100) + Math.floor(last / 400);
}

function startsMonth(epochSeconds: number): boolean {
  return epochSeconds % 86_400 === 0 && new Date(epochSeconds * 1000).getUTCDate() === 1;
}
