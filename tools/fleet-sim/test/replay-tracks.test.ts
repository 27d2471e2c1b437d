import { encodeAttributes } from '@app/shared/codec';
import { decodeFields, encodeFields } from '@app/shared/entry';
import { expect, test } from 'vitest';
import { replayTracks } from '../src/replay-tracks.ts';

const startAtMs = Date.UTC(2026, 6, 4, 9);

test('33 recorded flights start together and are ordered by send time', async () => {
  const { imeis, records } = await replayTracks({ startAtMs, durationMs: 60_000 });
  expect(imeis).toHaveLength(33);
  const sent = [...records];
  expect(new Set(sent.map(({ record }) => record.position.deviceId))).toEqual(new Set(imeis));
  const sendAtMs = sent.map((sending) => sending.sendAtMs);
  expect(sendAtMs).toEqual(sendAtMs.toSorted((a, b) => a - b));
  expect(sendAtMs[0]).toBe(startAtMs);
  for (const { record } of sent) {
    const { attributes, ...fields } = record.position;
    expect(decodeFields(encodeFields(record).map((field) => Buffer.from(field)))).toEqual({
      ...record,
      position: { ...fields, attributesJson: encodeAttributes(attributes) },
    });
  }
});

test('gaps and repeated times are kept', async () => {
  const { records } = await replayTracks({ startAtMs });
  const lastMs = new Map<string, number>();
  let fixes = 0;
  let gaps = 0;
  let repeated = 0;
  for (const { record } of records) {
    const { deviceId, fixAtMs } = record.position;
    const sinceMs = fixAtMs - (lastMs.get(deviceId) ?? fixAtMs - 1000);
    lastMs.set(deviceId, fixAtMs);
    fixes += 1;
    if (sinceMs > 10_000) gaps += 1;
    if (sinceMs === 0) repeated += 1;
  }
  expect(fixes).toBe(640_890);
  expect(gaps).toBeGreaterThan(3);
  expect(repeated).toBeGreaterThan(50_000);
});
