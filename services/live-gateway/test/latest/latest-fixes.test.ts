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
    stamp: undefined,
  };
}

describe('the latest fixes', () => {
  test('hold, in whatever order fixes come, the newest of each device, and never go back', () => {
    const fix = fc.record({ device: fc.constantFrom('a', 'b', 'c'), at: fc.nat(50), latitude: fc.nat(80) });
    fc.assert(
      fc.property(fc.array(fix, { maxLength: 80 }), (fixes) => {
        const latest = new LatestFixes(hourMs);
        for (const { device, at, latitude } of fixes) {
          const before = latest.get(device);
          const isTaken = latest.offer(fixAt(device, at, latitude));
          expect(isTaken).toBe(before === undefined || at > before.fixAtMs);
          // Of two fixes with one stamp the first stays: a duplicate must not be news.
          expect(latest.get(device)?.latitude).toBe(isTaken ? latitude : before?.latitude);
        }
        for (const device of ['a', 'b', 'c']) {
          const times = fixes.filter((one) => one.device === device).map((one) => one.at);
          expect(latest.get(device)?.fixAtMs).toBe(times.length === 0 ? undefined : Math.max(...times));
        }
      }),
    );
  });

  test('take the stamp of the entry whose fix Postgres had first, and of no other', () => {
    const latest = new LatestFixes(hourMs);
    const stamp = { stream: 0, id: '1000-0' };
    latest.offer(fixAt('a', 1000));
    // The same fix time with other content: the processor has parked one of them, perhaps this one.
    expect(latest.offer({ ...fixAt('a', 1000, 47), arrivedAtMs: 1000, stamp })).toBe(false);
    expect(latest.get('a')).toEqual(fixAt('a', 1000));
    expect(latest.offer({ ...fixAt('a', 1000), arrivedAtMs: 1000, stamp })).toBe(false);
    expect(latest.get('a')).toEqual({ ...fixAt('a', 1000), arrivedAtMs: 1000, stamp });
    // A repeated entry says nothing new.
    latest.offer({ ...fixAt('a', 1000), arrivedAtMs: 2000, stamp: { stream: 0, id: '2000-0' } });
    expect(latest.get('a')?.stamp).toEqual(stamp);
  });

  test('show no fix that is older than allowed, and still hold it', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 1000));
    expect(latest.shown('a', 1000 + hourMs)?.fixAtMs).toBe(1000);
    expect(latest.shown('a', 1001 + hourMs)).toBeUndefined();
    expect(latest.offer(fixAt('a', 999))).toBe(false);
  });

  test('go back from a faulty fix, but not from a newer one that came meanwhile', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 2000));
    expect(latest.retract('a', 2000, fixAt('a', 1000))).toBe(true);
    expect(latest.get('a')?.fixAtMs).toBe(1000);
    latest.offer(fixAt('a', 3000));
    expect(latest.retract('a', 2000, fixAt('a', 1000))).toBe(false);
    expect(latest.get('a')?.fixAtMs).toBe(3000);
    expect(latest.retract('a', 3000, undefined)).toBe(true);
    expect(latest.get('a')).toBeUndefined();
  });

  test('give up what has become too old to be shown, and say so once', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('old', 1000));
    latest.offer(fixAt('young', 2000));
    expect(latest.expire(1001 + hourMs)).toEqual(['old']);
    expect(latest.expire(1001 + hourMs)).toEqual([]);
    expect(latest.get('old')).toBeUndefined();
    expect(latest.get('young')?.fixAtMs).toBe(2000);
  });

  test('remember what devices in no event have reported, newest first, until they are in one', () => {
    const latest = new LatestFixes(hourMs);
    latest.remember(fixAt('a', 2000));
    latest.remember(fixAt('a', 1000));
    expect(latest.size).toBe(0);
    expect(latest.get('a')).toBeUndefined();
    expect(latest.hold('a').fix?.fixAtMs).toBe(2000);
    expect(latest.offer(fixAt('a', 1500))).toBe(false);
    latest.offer(fixAt('a', 3000));
    latest.keepOnly(() => false);
    expect(latest.size).toBe(0);
    expect(latest.hold('a').fix?.fixAtMs).toBe(3000);
  });

  test('remember no more than so many of them', () => {
    const latest = new LatestFixes(hourMs);
    for (let n = 0; n <= 10_000; n += 1) latest.remember(fixAt(`device ${n}`, 1000));
    expect(latest.hold('device 0').fix).toBeUndefined();
    expect(latest.hold('device 1').fix).toBeDefined();
    expect(latest.hold('device 10000').fix).toBeDefined();
  });

  test('still hold the fix of a device that has left its events and is in one again, and nothing else of it', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 1000));
    latest.noteFaulty('a', 2000);
    latest.markHydrated(['a']);
    latest.keepOnly(() => false);
    expect(latest.size).toBe(0);
    // What Postgres has said is of then: it is asked again.
    expect(latest.hold('a')).toEqual({ fix: fixAt('a', 1000), faultyAtMs: undefined, isHydrated: false });
  });

  test('forget a device that is in no event any more, hydration included', () => {
    const latest = new LatestFixes(hourMs);
    latest.offer(fixAt('a', 1));
    latest.offer(fixAt('b', 1));
    latest.markHydrated(['a', 'b']);
    latest.keepOnly((deviceId) => deviceId === 'b');
    expect(latest.size).toBe(1);
    expect(latest.isHydrated('a')).toBe(false);
    expect(latest.isHydrated('b')).toBe(true);
  });
});
