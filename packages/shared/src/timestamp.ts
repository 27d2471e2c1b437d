// Days before each month of a common year.
const daysBeforeMonth = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
const daysInMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** 1970-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z: what has a four-digit year and is not before the epoch. */
export const earliestFixAtMs = 0;
export const latestFixAtMs = 253_402_300_799_999;

const zero = 0x30;
const dash = 0x2d;
const colon = 0x3a;

/**
 * Reads a strict RFC 3339 date-time into epoch milliseconds, or undefined where the text is none.
 *
 * `Date.parse` takes `1`, `2026-02-30T00:00:00Z` and much else, so every character is looked at here. As the RFC has it,
 * `t` and `z` may be lower case, a fraction has one digit or more (what is finer than a millisecond is cut off, not
 * rounded: a fix is never later than the tracker said), and `-00:00` is UTC. A second of 60 is taken only where a
 * leap second can be, in the last minute of a UTC month, and is the first second of the next day, as in POSIX time
 * and in Postgres. The year is not bounded here: the offset can move it.
 */
export function parseTimestamp(text: string): number | undefined {
  const length = text.length;
  if (length < 20) return undefined;
  const year = twoDigits(text, 0) * 100 + twoDigits(text, 2);
  const month = twoDigits(text, 5);
  const day = twoDigits(text, 8);
  const hour = twoDigits(text, 11);
  const minute = twoDigits(text, 14);
  const second = twoDigits(text, 17);
  // NaN from a character that is no digit fails every one of these comparisons.
  if (!(year >= 0 && month >= 1 && month <= 12 && day >= 1 && hour <= 23 && minute <= 59 && second <= 60)) {
    return undefined;
  }
  if (
    text.charCodeAt(4) !== dash ||
    text.charCodeAt(7) !== dash ||
    (text.charCodeAt(10) | 0x20) !== 0x74 ||
    text.charCodeAt(13) !== colon ||
    text.charCodeAt(16) !== colon
  ) {
    return undefined;
  }
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const monthDays = month === 2 && isLeapYear ? 29 : (daysInMonth[month - 1] ?? 0);
  if (day > monthDays) return undefined;

  let at = 19;
  let fractionMs = 0;
  if (text.charCodeAt(at) === 0x2e) {
    at += 1;
    const firstDigitAt = at;
    let digitMs = 100;
    let digit = text.charCodeAt(at) - zero;
    while (digit >= 0 && digit <= 9) {
      fractionMs += Math.floor(digitMs) * digit;
      digitMs /= 10;
      at += 1;
      digit = text.charCodeAt(at) - zero;
    }
    if (at === firstDigitAt) return undefined;
  }
  const offsetMinutes = readOffset(text, at);
  if (offsetMinutes === undefined) return undefined;

  const previousYear = year - 1;
  const daysBeforeYear =
    365 * year +
    Math.floor(previousYear / 4) -
    Math.floor(previousYear / 100) +
    Math.floor(previousYear / 400);
  const yearDay = (daysBeforeMonth[month - 1] ?? 0) + (month > 2 && isLeapYear ? 1 : 0) + day - 1;
  const epochDays = daysBeforeYear + yearDay - daysBeforeEpoch;
  const wholeSeconds = epochDays * 86_400 + hour * 3600 + (minute - offsetMinutes) * 60 + second;
  if (second === 60 && !startsUtcMonth(wholeSeconds)) return undefined;
  return wholeSeconds * 1000 + fractionMs;
}

// Days from the start of the year 0 to 1970, by the same sum as above.
const daysBeforeEpoch = 365 * 1970 + 492 - 19 + 4;

function twoDigits(text: string, at: number): number {
  const tens = text.charCodeAt(at) - zero;
  const ones = text.charCodeAt(at + 1) - zero;
  return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
}

/** The zone that the text ends in, as minutes ahead of UTC; undefined if it does not end in one. */
function readOffset(text: string, at: number): number | undefined {
  const sign = text.charCodeAt(at);
  if ((sign | 0x20) === 0x7a) return text.length === at + 1 ? 0 : undefined;
  if ((sign !== 0x2b && sign !== dash) || text.length !== at + 6 || text.charCodeAt(at + 3) !== colon) {
    return undefined;
  }
  const hours = twoDigits(text, at + 1);
  const minutes = twoDigits(text, at + 4);
  if (!(hours <= 23 && minutes <= 59)) return undefined;
  return (sign === dash ? -1 : 1) * (hours * 60 + minutes);
}

function startsUtcMonth(epochSeconds: number): boolean {
  return epochSeconds % 86_400 === 0 && new Date(epochSeconds * 1000).getUTCDate() === 1;
}
