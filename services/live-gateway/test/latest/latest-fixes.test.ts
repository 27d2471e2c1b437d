import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatestFixes } from '../../src/latest/latest-fixes.ts';
import type { LatestFix } from '../../src/latest/latest-fixes.ts';

const hourMs = 3_600_000;

function fixAt(deviceId: string, fixAtMs: number, latitude = 46): LatestFix {
  return {
    deviceId,
    fixAtMs,
    latitude,
    longitude: 8,
    altitudeM: 500,
    courseDeg: 0,
    speedKmh: 0,
    arrivedAtMs: undefined,
    entryRef: undefined,
  };
}

describe('latest fixes', () => {
  test('keep the newest fix of each device, in whatever order fixes come', () => {
    const fix = fc.record({ device: fc.constantFrom('a', 'b', 'c'), at: fc.nat(50), latitude: fc.nat(80) });
    fc.assert(
      fc.property(fc.array(fix, { maxLength: 80 }), (fixes) => {
        const latest = new LatestFixes(hourMs);
        for (const { device, at, latitude } of fixes) {
          const before = latest.hold(device).fix;
          const isNewer = latest.offer(fixAt(device, at, latitude));
          expect(isNewer).toBe(before === undefined || at > before.fixAtMs);
          // Of two fixes with the same time the first stays.
          expect(latest.hold(device).fix?.latitude).toBe(isNewer ? latitude : before?.latitude);
        }
        for (const device of ['a', 'b', 'c']) {
          const times = fixes.filter((one) => one.device === device).map((one) => one.at);
          expect(latest.hold(device).fix?.fixAtMs).toBe(times.length === 0 ? undefined : Math.max(...times));
        }
      }),
    );
  });

  test('read from Postgres take over the reference to their own entry only', () => {
    const latest = new LatestFixes(hourMs);
    const entryRef = { stream: 0, id: '1000-0' };
    latest.offer(fixAt('a', 1000));
    // The same fix time with other content: another entry, perhaps one that the processor has rejected.
    expect(latest.offer({ ...fixAt('a', 1000, 47), arrivedAtMs: 1000, entryRef })).toBe(false);
    expect(latest.hold('a').fix).toEqual(fixAt('a', 1000));
    expect(latest.offer({ ...fixAt('a', 1000), arrivedAtMs: 1000, entryRef })).toBe(false);
    expect(latest.hold('a').fix).toEqual({ ...fixAt('a', 1000), arrivedAtMs: 1000, entryRef });
    // A duplicate entry changes nothing.
    latest.offer({ ...fixAt('a', 1000), arrivedAtMs: 2000, entryRef: { stream: 0, id: '2000-0' } });
    expect(latest.hold('a').fix?.entryRef).toEqual(entryRef);
  });

  test('older than the maximum age are not shown, and still not replaced by older ones', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 1000));
    expect(latest.isRecent(fixAt('a', 1000), 1000 + hourMs)).toBe(true);
    expect(latest.isRecent(fixAt('a', 1000), 1001 + hourMs)).toBe(false);
    expect(latest.offer(fixAt('a', 999))).toBe(false);
  });

  test('are retracted when faulty, unless a newer one has replaced them', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 2000));
    expect(latest.retract('a', 2000, fixAt('a', 1000))).toBe(true);
    expect(latest.hold('a').fix?.fixAtMs).toBe(1000);
    latest.offer(fixAt('a', 3000));
    expect(latest.retract('a', 2000, fixAt('a', 1000))).toBe(false);
    expect(latest.hold('a').fix?.fixAtMs).toBe(3000);
    expect(latest.retract('a', 3000, undefined)).toBe(true);
    expect(latest.hold('a').fix).toBeUndefined();
  });

  test('expire once when they are older than the maximum age', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('old', 1000));
    latest.offer(fixAt('young', 2000));
    expect(latest.expire(1001 + hourMs)).toEqual(['old']);
    expect(latest.expire(1001 + hourMs)).toEqual([]);
    expect(latest.hold('old').fix).toBeUndefined();
    expect(latest.hold('young').fix?.fixAtMs).toBe(2000);
  });

  test('of unassigned devices are kept until the device is assigned', () => {
    const latest = new LatestFixes(hourMs);
    latest.offerUnassigned(fixAt('a', 2000));
    latest.offerUnassigned(fixAt('a', 1000));
    expect(latest.hold('a').fix?.fixAtMs).toBe(2000);
    expect(latest.offer(fixAt('a', 1500))).toBe(false);
    latest.offer(fixAt('a', 3000));
    latest.keepOnly(() => false);
    expect(latest.hold('a').fix?.fixAtMs).toBe(3000);
  });

  test('of the 10,000 last updated unassigned devices are kept', () => {
    const latest = new LatestFixes(hourMs);
    for (let n = 0; n <= 10_000; n += 1) latest.offerUnassigned(fixAt(`device ${n}`, 1000));
    expect(latest.hold('device 0').fix).toBeUndefined();
    expect(latest.hold('device 1').fix).toBeDefined();
    expect(latest.hold('device 10000').fix).toBeDefined();
  });

  test('survive a reassignment of the device, without what Postgres said of it', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 1000));
    latest.noteFaulty('a', 2000);
    latest.markHydrated(['a']);
    latest.keepOnly(() => false);
    expect(latest.hold('a')).toEqual({ fix: fixAt('a', 1000), faultyFixAtMs: undefined, isHydrated: false });
  });
});
