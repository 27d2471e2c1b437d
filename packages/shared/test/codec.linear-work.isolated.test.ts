import { Session } from 'node:inspector/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodePosition, encodePosition, maxPayloadBytes, type CodecReason } from '../src/codec.ts';
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

/** 254 members of equal length: one less than the maximum. */
function equalMembers(length: number, member: (id: number, length: number) => string): string {
  return Array.from({ length: 254 }, (_, id) => member(id, Math.floor(length / 254))).join(',');
}

function withFraction(digits: number): string {
  return `2026-11-24T00:00:00.${'0'.repeat(digits)}`;
}

function unknownFields(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, () => Buffer.from('payloae'));
}

// Worst-case payloads of about `length` characters, each with the reason it is rejected for.
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
  'a long fraction': [(length) => withAttributes(`{"1":0.${repeated('9', length)}}`), 'out_of_range'],
  'a long number with no digits': [(length) => withAttributes(`{"1":0.${repeated('0', length)}}`), undefined],
  'a long exponent': [(length) => withAttributes(`{"1":1e-${repeated('9', length)}}`), 'out_of_range'],
  'a long bigint': [
    (length) => withAttributes(`{"1":{"__bigint":"${repeated('9', length)}"}}`),
    'bad_sentinel',
  ],
  'long bytes': [
    (length) => withAttributes(`{"1":{"__buffer_b64":"${repeated('AQID', length)}"}}`),
    undefined,
  ],
  'long bytes with an error at the end': [
    (length) => withAttributes(`{"1":{"__buffer_b64":"${repeated('AQID', length)}AQI*"}}`),
    'bad_sentinel',
  ],
  'a long string': [(length) => withAttributes(`{"1":"${repeated('x', length)}"}`), undefined],
  'a long string with a NUL at the end': [
    (length) => withAttributes(`{"1":"${repeated('x', length)}\\u0000"}`),
    'bad_text',
  ],
  'strings, then an invalid value': [
    (length) =>
      withAttributes(
        `{${equalMembers(length, (id, each) => `"${id}":"${'x'.repeat(each - 9)}"`)},"999":null}`,
      ),
    'wrong_type',
  ],
  'bytes, then an invalid value': [
    (length) =>
      withAttributes(
        `{${equalMembers(length, (id, each) => `"${id}":{"__buffer_b64":"${'AQID'.repeat(Math.max(0, (each - 28) / 4))}"}`)},"999":null}`,
      ),
    'wrong_type',
  ],
  'a string of escapes': [
    (length) => withAttributes(`{"1":"${repeated('\\ud83c\\udfc1', length)}"}`),
    undefined,
  ],
  'many keys': [
    (length) => withAttributes(`{${numbered(length, (index) => `"k${index}":1`)}}`),
    'too_many_attributes',
  ],
  'many numeric keys': [
    (length) => withAttributes(`{${numbered(length, (index) => `"${index * 7919}":1`)}}`),
    'too_many_attributes',
  ],
  'one key repeated': [(length) => withAttributes(`{${numbered(length, () => '"1":1')}}`), 'duplicate_key'],
  'a field repeated': [
    (length) => `{${numbered(length, () => '"speed":1')},${good.slice(1)}`,
    'duplicate_key',
  ],
  'an unknown field of blanks and backslashes': [
    (length) => `{"x" : "${repeated('\\\\', length / 2)}"${repeated(' ', length / 2)},${good.slice(1)}`,
    undefined,
  ],
  'a sentinel with many keys': [
    (length) => withAttributes(`{"1":{${numbered(length, (index) => `"__bigint${index}":"1"`)}}}`),
    'wrong_type',
  ],
  'many unknown fields': [
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
  'a timestamp with a long fraction and no offset': [
    (length) => good.replace('.000Z', () => `.${repeated('0', length)}`),
    'bad_timestamp',
  ],
  whitespace: [(length) => `${repeated(' \n', length)}${good}`, undefined],
};

const session = new Session();
beforeAll(async () => {
  session.connect();
  await session.post('Profiler.enable');
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
});
afterAll(() => session.disconnect());

/**
 * Counts the blocks of this package's code that one call executes; a loop body counts once per iteration. Independent of
 * the machine's speed. Code inside V8 (JSON.parse, regular expressions) is not counted.
 */
async function countBlocks(run: () => unknown): Promise<number> {
  await session.post('Profiler.takePreciseCoverage'); // Resets the counters.
  run();
  const { result } = await session.post('Profiler.takePreciseCoverage');
  return result
    .filter(({ url }) => url.includes('/packages/shared/src/'))
    .flatMap(({ functions }) => functions.flatMap(({ ranges }) => ranges))
    .reduce((sum, { count }) => sum + count, 0);
}

async function growth(small: () => unknown, large: () => unknown): Promise<number> {
  return (await countBlocks(large)) / (await countBlocks(small));
}

describe('work grows linearly with the size', () => {
  const largest = maxPayloadBytes - 1024;
  const smallest = largest / 16;
  // Linear work grows some 16-fold, quadratic work 256-fold.
  const limit = 32;

  test.each(Object.entries(attacks))('%s', async (_, [payload, reason]) => {
    const bytes = new TextEncoder().encode(payload(largest));
    const decoded = decodePosition(bytes);
    expect(decoded instanceof CodecError ? decoded.reason : undefined).toBe(reason);
    expect(bytes.length).toBeGreaterThan(largest * 0.9);

    const small = new TextEncoder().encode(payload(smallest));
    expect(
      await growth(
        () => decodePosition(small),
        () => decodePosition(bytes),
      ),
    ).toBeLessThan(limit);
  });

  test('a timestamp of any length', async () => {
    const short = withFraction(100_000);
    const long = withFraction(1_600_000);
    expect(
      await growth(
        () => parseTimestamp(short),
        () => parseTimestamp(long),
      ),
    ).toBeLessThan(limit);
  });

  test('any number of fields in an entry', async () => {
    const few = unknownFields(1000);
    const many = unknownFields(16_000);
    expect(
      await growth(
        () => decodeFields(few),
        () => decodeFields(many),
      ),
    ).toBeLessThan(limit);
  });

  test.each([
    [
      'a bbox with many numbers',
      (length: number) => `{"type":"update","bbox":[${numbered(length, () => '1')}]}`,
    ],
    ['a long topic', (length: number) => `{"type":"unsubscribe","topic":"event:${repeated('a', length)}"}`],
    ['many fields', (length: number) => `{"type":"ping",${numbered(length, (index) => `"f${index}":1`)}}`],
  ])('a client message: %s', async (_, message) => {
    const largestMessage = message(maxMessageBytes - 100);
    const smallestMessage = message((maxMessageBytes - 100) / 16);
    expect(largestMessage.length).toBeLessThanOrEqual(maxMessageBytes);
    expect(
      await growth(
        () => parseClientMessage(smallestMessage),
        () => parseClientMessage(largestMessage),
      ),
    ).toBeLessThan(limit);
  });
});

test('a payload over the size limit is not decoded', async () => {
  const size = 64 * 1024 * 1024;
  for (const [slightlyTooLarge, huge] of [
    [new Uint8Array(maxPayloadBytes + 1), new Uint8Array(size)],
    [' '.repeat(maxPayloadBytes + 1), ' '.repeat(size)],
  ] as const) {
    expect(decodePosition(huge)).toMatchObject({ reason: 'too_large' });
    expect(await countBlocks(() => decodePosition(huge))).toBe(
      await countBlocks(() => decodePosition(slightlyTooLarge)),
    );
  }
});
