import { deviceIdPattern, flushToZero, maxAbs } from './bounds.ts';
import { arePlainAttributes } from './plain-attributes.ts';
import type { ReceivedPosition } from './position.ts';
import { latestTimestampMs, parseTimestamp } from './timestamp.ts';

const minus = 0x2d;
const point = 0x2e;
const zero = 0x30;
const timestampLength = '2026-11-24T08:15:30.000Z'.length;
// Doubles hold any whole number of so many digits, and the powers of ten up to 10^22: one division rounds once, as
// reading the text does (Clinger, How to Read Floating Point Numbers Accurately, 1990).
const exactDigits = 15;
const powersOfTen = Array.from({ length: exactDigits + 1 }, (_, exponent) => 10 ** exponent);

/**
 * Reads a payload that is just what `encodePosition` writes: its members in that order, no blanks, no escapes, no
 * exponents, all within their bounds. Most are. For all others undefined: look closer.
 */
export function readPlainPosition(payload: string): ReceivedPosition | undefined {
  const plain = new PlainReader(payload);
  plain.pass('{"device_id":"');
  const deviceId = plain.deviceId();
  plain.pass('","timestamp":"');
  const fixAtMs = plain.timestamp();
  plain.pass('","latitude":');
  const latitude = plain.number();
  plain.pass(',"longitude":');
  const longitude = plain.number();
  plain.pass(',"altitude":');
  const altitudeM = plain.number();
  plain.pass(',"angle":');
  const courseDeg = plain.number();
  plain.pass(',"speed":');
  const speedKmh = plain.number();
  plain.pass(',"satellites":');
  const satellites = plain.number();
  plain.pass(',"priority":');
  const priority = plain.number();
  plain.pass(',"attributes":');
  // What is not plain is NaN from there on, for which no comparison holds.
  const isWithinBounds =
    fixAtMs >= 0 &&
    fixAtMs <= latestTimestampMs &&
    Math.abs(latitude) <= maxAbs.latitude &&
    Math.abs(longitude) <= maxAbs.longitude &&
    Math.abs(altitudeM) <= maxAbs.altitude &&
    courseDeg >= 0 &&
    courseDeg <= maxAbs.angle &&
    Math.abs(speedKmh) <= maxAbs.speed &&
    satellites >= 0 &&
    satellites <= maxAbs.satellites &&
    Number.isInteger(satellites) &&
    (priority === 0 || priority === 1 || priority === 2);
  if (!isWithinBounds || !arePlainAttributes(payload, plain.at)) return undefined;
  return {
    deviceId,
    fixAtMs,
    latitude,
    longitude,
    altitudeM: flushToZero(altitudeM),
    courseDeg: flushToZero(courseDeg),
    speedKmh: flushToZero(speedKmh),
    satellites,
    priority,
    attributesJson: payload.slice(plain.at, -1),
  };
}

/**
 * Goes through a payload from its beginning. Where something else stands than what is asked for, it goes to the end:
 * nothing is found there.
 */
class PlainReader {
  readonly #payload: string;
  #at = 0;

  constructor(payload: string) {
    this.#payload = payload;
  }

  get at(): number {
    return this.#at;
  }

  pass(literal: string): void {
    const isThere = this.#payload.startsWith(literal, this.#at);
    this.#at = isThere ? this.#at + literal.length : this.#payload.length;
  }

  deviceId(): string {
    const from = this.#at;
    const to = this.#payload.indexOf('"', from);
    const isPlain = to !== -1 && deviceIdPattern.test(this.#payload.slice(from, to));
    this.#at = isPlain ? to : this.#payload.length;
    // Parsed with its quotes and not sliced: a slice keeps all of the payload for as long as somebody keeps the id.
    return isPlain ? JSON.parse(this.#payload.slice(from - 1, to + 1)) : '';
  }

  timestamp(): number {
    const from = this.#at;
    this.#at = from + timestampLength;
    return parseTimestamp(this.#payload, from, this.#at) ?? Number.NaN;
  }

  number(): number {
    const payload = this.#payload;
    const isNegative = payload.charCodeAt(this.#at) === minus;
    const from = isNegative ? this.#at + 1 : this.#at;
    let digits = 0;
    let at = from;
    let code = payload.charCodeAt(at);
    for (; isDigit(code); code = payload.charCodeAt(at)) {
      digits = digits * 10 + (code - zero);
      at += 1;
    }
    const wholeDigits = at - from;
    let decimals = 0;
    if (code === point) {
      at += 1;
      const decimalsFrom = at;
      for (code = payload.charCodeAt(at); isDigit(code); code = payload.charCodeAt(at)) {
        digits = digits * 10 + (code - zero);
        at += 1;
      }
      decimals = at - decimalsFrom;
      if (decimals === 0) return this.#none();
    }
    // JSON has no leading zeros.
    const hasLeadingZero = wholeDigits > 1 && payload.charCodeAt(from) === zero;
    if (wholeDigits === 0 || hasLeadingZero || wholeDigits + decimals > exactDigits) return this.#none();
    this.#at = at;
    const value = digits / (powersOfTen[decimals] ?? Number.NaN);
    return isNegative && value !== 0 ? -value : value;
  }

  #none(): number {
    this.#at = this.#payload.length;
    return Number.NaN;
  }
}

function isDigit(code: number): boolean {
  return code >= zero && code <= zero + 9;
}
