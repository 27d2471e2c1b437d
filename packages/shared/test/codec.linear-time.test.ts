import { describe, expect, test } from 'vitest';
import {
  decodePosition,
  encodePosition,
  maxPayloadBytes,
  receivePosition,
  type CodecReason,
} from '../src/codec.ts';
import { CodecError } from '../src/codec-error.ts';
import { decodeFields } from '../src/entry.ts';
import { parseClientMessage } from '../src/parse-client-message.ts';
import { maxMessageBytes } from '../src/protocol.ts';
import { parseTimestamp } from '../src/timestamp.ts';

const good = encodePosition({
  deviceId: '359421000012345',
  fixAtMs: Date.UTC(2026, 10, 24),
  latitude: 48.1,
  longitude: 11.7,
  altitudeM: 512,
  courseDeg: 271,
  speedKmh: 87.5,
  satellites: 12,
  priority: 0,
  attributes: {},
});

function withAttributes(json: string): string {
  return good.replace('"attributes":{}', () => `"attributes":${json}`);
}

function repeated(unit: string, length: number): string {
  return unit.repeat(Math.floor(length / unit.length));
}

function numbered(length: number, member: (index: number) => string): string {
  const members: string[] = [];
  for (let filled = 0; filled < length; filled += (members.at(-1)?.length ?? 0) + 1) {
    members.push(member(members.length));
  }
  return members.join(',');
}

/** 254 members that share the length: with one more there are as many as attributes may have. */
function sharing(length: number, member: (id: number, length: number) => string): string {
  return Array.from({ length: 254 }, (_, id) => member(id, Math.floor(length / 254))).join(',');
}

function withFraction(digits: number): string {
  return `2026-11-24T00:00:00.${'0'.repeat(digits)}`;
}

function unknownFields(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, () => Buffer.from('payloae'));
}

// Each makes a payload of about `length` characters that is as much work as it can be, and what becomes of it.
const attacks: Readonly<Record<string, readonly [(length: number) => string, CodecReason | undefined]>> = {
  'arrays that open and never close': [(length) => repeated('[', length), 'not_json'],
  'arrays in arrays': [
    (length) => withAttributes(`{"1":${repeated('[', length / 2)}${repeated(']', length / 2)}}`),
    'wrong_type',
  ],
  'objects in objects': [
    (length) => {
      const depth = Math.floor(length / '{"__bigint":}'.length);
      return withAttributes(`{"1":${'{"__bigint":'.repeat(depth)}1${'}'.repeat(depth)}}`);
    },
    'bad_sentinel',
  ],
  'a long number': [(length) => withAttributes(`{"1":${repeated('9', length)}}`), 'not_finite'],
  'a long fraction': [(length) => withAttributes(`{"1":0.${repeated('9', length)}}`), undefined],
  'a long exponent': [(length) => withAttributes(`{"1":1e-${repeated('9', length)}}`), undefined],
  'a long bigint': [
    (length) => withAttributes(`{"1":{"__bigint":"${repeated('9', length)}"}}`),
    'bad_sentinel',
  ],
  'long bytes': [
    (length) => withAttributes(`{"1":{"__buffer_b64":"${repeated('AQID', length)}"}}`),
    undefined,
  ],
  'long bytes with a fault at the end': [
    (length) => withAttributes(`{"1":{"__buffer_b64":"${repeated('AQID', length)}AQI*"}}`),
    'bad_sentinel',
  ],
  'a long text': [(length) => withAttributes(`{"1":"${repeated('x', length)}"}`), undefined],
  'a long text with a NUL at the end': [
    (length) => withAttributes(`{"1":"${repeated('x', length)}\\u0000"}`),
    'bad_text',
  ],
  'texts, the last of which is none': [
    (length) =>
      withAttributes(`{${sharing(length, (id, each) => `"${id}":"${'x'.repeat(each - 9)}"`)},"999":null}`),
    'wrong_type',
  ],
  'bytes, the last of which are none': [
    (length) =>
      withAttributes(
        `{${sharing(length, (id, each) => `"${id}":{"__buffer_b64":"${'AQID'.repeat(Math.max(0, (each - 28) / 4))}"}`)},"999":null}`,
      ),
    'wrong_type',
  ],
  'a text of escapes': [
    (length) => withAttributes(`{"1":"${repeated('\\ud83c\\udfc1', length)}"}`),
    undefined,
  ],
  'many keys': [
    (length) => withAttributes(`{${numbered(length, (index) => `"k${index}":1`)}}`),
    'too_many_attributes',
  ],
  'many keys that are numbers': [
    (length) => withAttributes(`{${numbered(length, (index) => `"${index * 7919}":1`)}}`),
    'too_many_attributes',
  ],
  'one key many times': [(length) => withAttributes(`{${numbered(length, () => '"1":1')}}`), undefined],
  'a sentinel of many keys': [
    (length) => withAttributes(`{"1":{${numbered(length, (index) => `"__bigint${index}":"1"`)}}}`),
    'wrong_type',
  ],
  'many fields that are not known': [
    (length) => `{${numbered(length, (index) => `"f${index}":null`)},${good.slice(1)}`,
    undefined,
  ],
  'a long device id': [
    (length) => good.replace('359421000012345', () => repeated('9', length)),
    'bad_device_id',
  ],
  'a timestamp with a long fraction': [
    (length) => good.replace('.000Z', () => `.${repeated('0', length)}Z`),
    undefined,
  ],
  'a timestamp with a fraction that does not end in a zone': [
    (length) => good.replace('.000Z', () => `.${repeated('0', length)}`),
    'bad_timestamp',
  ],
  blanks: [(length) => `${repeated(' \n', length)}${good}`, undefined],
};

/** The time of one call, in ms, where nothing disturbs it: the best of a few series. */
function bestMs(run: () => unknown, least = Number.POSITIVE_INFINITY): number {
  let best = least;
  for (let series = 0; series < 5; series += 1) {
    const startedAtMs = performance.now();
    let calls = 0;
    while (calls < 3 || performance.now() - startedAtMs < 1) {
      run();
      calls += 1;
    }
    best = Math.min(best, (performance.now() - startedAtMs) / calls);
  }
  return best;
}

/**
 * How many times longer `large` takes than `small`. Both are measured again while that is not below `limit`: noise
 * goes away with the best of more series, a quadratic does not.
 */
function growth(small: () => unknown, large: () => unknown, limit: number): number {
  let smallMs = Number.POSITIVE_INFINITY;
  let largeMs = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 20 && !(largeMs / smallMs < limit); round += 1) {
    smallMs = bestMs(small, smallMs);
    largeMs = bestMs(large, largeMs);
  }
  return largeMs / smallMs;
}

describe('16 times as much to read takes nowhere near 16 × 16 times as long', () => {
  const largest = maxPayloadBytes - 1024;
  const smallest = largest / 16;
  // A linear step has 16 at most, for what does not grow with the input is on both sides; a quadratic one has 256.
  const limit = 64;

  test.each(Object.entries(attacks))('%s', (_, [payload, reason]) => {
    const bytes = new TextEncoder().encode(payload(largest));
    const decoded = decodePosition(bytes);
    expect(decoded instanceof CodecError ? decoded.reason : undefined).toBe(reason);
    expect(bytes.length).toBeGreaterThan(largest * 0.9);

    const fewer = new TextEncoder().encode(payload(smallest));
    expect(
      growth(
        () => decodePosition(fewer),
        () => decodePosition(bytes),
        limit,
      ),
    ).toBeLessThan(limit);
    expect(
      growth(
        () => receivePosition(fewer),
        () => receivePosition(bytes),
        limit,
      ),
    ).toBeLessThan(limit);
  });

  test('a timestamp, of any length', () => {
    const short = withFraction(100_000);
    const long = withFraction(1_600_000);
    expect(
      growth(
        () => parseTimestamp(short),
        () => parseTimestamp(long),
        limit,
      ),
    ).toBeLessThan(limit);
  });

  test('the fields of an entry, of any number', () => {
    const few = unknownFields(1000);
    const many = unknownFields(16_000);
    expect(
      growth(
        () => decodeFields(few),
        () => decodeFields(many),
        limit,
      ),
    ).toBeLessThan(limit);
  });

  test.each([
    [
      'a bbox of many numbers',
      (length: number) => `{"type":"update","bbox":[${numbered(length, () => '1')}]}`,
    ],
    ['a long topic', (length: number) => `{"type":"unsubscribe","topic":"event:${repeated('a', length)}"}`],
    ['many fields', (length: number) => `{"type":"ping",${numbered(length, (index) => `"f${index}":1`)}}`],
  ])('a message of a client: %s', (_, message) => {
    const largestMessage = message(maxMessageBytes - 100);
    const smallestMessage = message((maxMessageBytes - 100) / 16);
    expect(largestMessage.length).toBeLessThanOrEqual(maxMessageBytes);
    expect(
      growth(
        () => parseClientMessage(smallestMessage),
        () => parseClientMessage(largestMessage),
        limit,
      ),
    ).toBeLessThan(limit);
  });
});

test('what is longer than the bound is not looked at', () => {
  const huge = new Uint8Array(64 * 1024 * 1024);
  const text = ' '.repeat(64 * 1024 * 1024);
  const small = new Uint8Array(maxPayloadBytes);
  // 1,000 times the bytes; reading them would take 1,000 times as long.
  expect(
    growth(
      () => decodePosition(small),
      () => decodePosition(huge),
      1,
    ),
  ).toBeLessThan(1);
  expect(
    growth(
      () => decodePosition(small),
      () => decodePosition(text),
      1,
    ),
  ).toBeLessThan(1);
  expect(decodePosition(huge)).toMatchObject({ reason: 'too_large' });
});
