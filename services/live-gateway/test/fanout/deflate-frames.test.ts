import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { createDictionary, deflateFrames } from '../../src/fanout/deflate-frames.ts';
import { encodePositions, encodeRow } from '../../src/protocol/batched-dialect.ts';
import { createInflater } from '../support/inflate-frames.ts';

const topic = `event:${randomUUID()}`;
const ids = Array.from({ length: 200 }, () => randomUUID());

/** A frame of every fourth of 200 vehicles, as a tick writes it. */
function frameAt(tick: number): Buffer {
  const rows = ids
    .filter((_, n) => n % 4 === tick % 4)
    .map((id, n) =>
      encodeRow(id, {
        deviceId: id,
        fixAtMs: 1_783_155_660_000 + 250 * tick,
        latitude: 62.0451752 + n * 1.23457e-3 + tick * 1.7e-5,
        longitude: 25.1013312 - n * 2.34571e-3 + tick * 2.3e-5,
        altitudeM: 100 + (n % 40),
        courseDeg: (n * 37 + tick) % 360,
        speedKmh: (n * 13 + tick) % 140,
        arrivedAtMs: 0,
        entryRef: undefined,
      }),
    );
  return Buffer.from(encodePositions(topic, rows, `1783155660000-0.${tick}`));
}

test('deflated frames of 50 rows inflate to the same message and take at most 40 % of the bytes', () => {
  const frames = Array.from({ length: 40 }, (_, tick) => ({ payload: frameAt(tick), indexes: [] }));
  const { dictionary, payloads } = deflateFrames(frames, createDictionary(topic, ids));
  const inflate = createInflater();
  expect(inflate(dictionary.frame)).toBeUndefined();
  expect(payloads.map((payload) => inflate(payload))).toEqual(
    frames.map(({ payload }) => payload.toString()),
  );
  const bytes = frames.reduce((sum, { payload }) => sum + payload.byteLength, 0);
  const deflatedBytes = payloads.reduce((sum, payload) => sum + payload.byteLength, 0);
  expect(deflatedBytes).toBeLessThan(bytes * 0.4);
});

test('the dictionary of an event with 10,000 devices stays below 16 KiB and within the reach of a frame', () => {
  const many = Array.from({ length: 10_000 }, () => randomUUID());
  const dictionary = createDictionary(topic, many);
  expect(dictionary.frame.byteLength).toBeLessThan(16_384);
  expect(dictionary.bytes.byteLength).toBeLessThan(25_000);
  const frame = { payload: frameAt(0), indexes: [] };
  const inflate = createInflater();
  inflate(dictionary.frame);
  const [payload = new Uint8Array()] = deflateFrames([frame], dictionary).payloads;
  expect(inflate(payload)).toBe(frame.payload.toString());
});

test('each dictionary has another number', () => {
  expect(createDictionary(topic, ids).number).not.toBe(createDictionary(topic, ids).number);
});
