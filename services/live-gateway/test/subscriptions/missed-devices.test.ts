import { expect, test } from 'vitest';
import { DeviceIndex } from '../../src/fanout/device-index.ts';
import { LatestFixes } from '../../src/latest/latest-fixes.ts';
import type { LatestFix } from '../../src/latest/latest-fixes.ts';
import { missedSince } from '../../src/subscriptions/missed-devices.ts';

function fixOf(deviceId: string, fixAtMs: number, entryRef: LatestFix['entryRef']): LatestFix {
  return {
    deviceId,
    fixAtMs,
    latitude: 1,
    longitude: 2,
    altitudeM: 3,
    courseDeg: 4,
    speedKmh: 5,
    arrivedAtMs: undefined,
    entryRef,
  };
}

test('devices with a later entry in its own stream, or with a fix from Postgres, were missed since a cursor', () => {
  const latest = new LatestFixes(Number.POSITIVE_INFINITY);
  const imeis = ['before', 'at', 'after', 'other stream', 'postgres', 'none', 'was faulty', 'recovered'];
  const devices = new DeviceIndex(
    imeis.map((imei) => ({ id: `id of ${imei}`, imei })),
    (imei) => latest.hold(imei),
  );
  latest.offer(fixOf('before', 10, { stream: 0, id: '119-0' }));
  latest.offer(fixOf('at', 10, { stream: 0, id: '120-0' }));
  latest.offer(fixOf('after', 10, { stream: 0, id: '120-1' }));
  latest.offer(fixOf('other stream', 10, { stream: 1, id: '130-0' }));
  latest.offer(fixOf('postgres', 10, undefined));
  latest.offer(fixOf('was faulty', 10, { stream: 0, id: '110-0' }));
  latest.noteFaulty('was faulty', 11);
  latest.offer(fixOf('recovered', 12, { stream: 0, id: '110-0' }));
  latest.noteFaulty('recovered', 11);
  const missed = missedSince(['120-0', '200-0'], devices);
  const namesOf = (indexes: Iterable<number>): readonly string[] =>
    Array.from(indexes, (index) => devices.at(index)?.device.imei ?? '');
  expect(namesOf(missed.unsent)).toEqual(['after', 'postgres', 'none', 'was faulty']);
  expect(missed.invalidIds).toEqual(['id of postgres', 'id of none', 'id of was faulty']);
  expect(namesOf(missedSince(['120-0', '129-0'], devices).unsent)).toContain('other stream');
});
