import * as fc from 'fast-check';
import { plainServerMessage } from '@app/shared/messages';
import { expect, test } from 'vitest';
import type { LatestFix } from '../../src/latest/latest-fixes.ts';
import { encodePlainPosition, encodePlainSubscribed } from '../../src/protocol/plain-dialect.ts';

const topic = 'event:0f0e0d0c-0b0a-4908-8706-050403020100';
const fix: fc.Arbitrary<LatestFix> = fc.record({
  deviceId: fc.stringMatching(/^[0-9A-Za-z_-]{1,32}$/),
  fixAtMs: fc.integer({ min: 0, max: 253_402_300_799_999 }),
  latitude: fc.double({ min: -90, max: 90, noNaN: true }),
  longitude: fc.double({ min: -180, max: 180, noNaN: true }),
  altitudeM: fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  courseDeg: fc.constantFrom(0, 359.5),
  speedKmh: fc.constantFrom(0, 12.25),
  arrivedAtMs: fc.constantFrom(undefined, 5),
  entryRef: fc.constant(undefined),
});
const id = fc.option(fc.oneof(fc.integer(), fc.string({ maxLength: 64 })), { nil: undefined });

/** JSON has no -0. */
const withoutMinusZero = (value: number): number => value + 0;

function rowOf(one: LatestFix): object {
  return {
    deviceId: one.deviceId,
    lat: withoutMinusZero(one.latitude),
    lon: withoutMinusZero(one.longitude),
    ts: one.fixAtMs,
    speed: one.speedKmh,
    course: one.courseDeg,
    altitude: withoutMinusZero(one.altitudeM),
  };
}

test('a position frame contains every field of the fix, zeros included', () => {
  fc.assert(
    fc.property(fix, (one) => {
      const frame = encodePlainPosition(topic, one);
      expect(plainServerMessage.parse(JSON.parse(frame))).toEqual({ type: 'position', topic, ...rowOf(one) });
    }),
  );
});

test('a snapshot stays within its maximum size, keeps the order and reports the fixes it includes', () => {
  const request = fc.record({ id, isDegraded: fc.boolean(), maxBytes: fc.integer({ min: 300, max: 3_000 }) });
  fc.assert(
    fc.property(fc.array(fix, { maxLength: 30 }), request, (fixes, options) => {
      const { frame, included } = encodePlainSubscribed({ topic, fixes, ...options });
      expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(options.maxBytes);
      expect(included).toEqual(fixes.slice(0, included.length));
      expect(plainServerMessage.parse(JSON.parse(frame))).toEqual({
        type: 'subscribed',
        topic,
        ...(options.id !== undefined && { id: options.id }),
        ...(options.isDegraded && { degraded: true }),
        snapshot: included.map(rowOf),
      });
      const next = fixes[included.length];
      if (next === undefined) return;
      // The next fix would not have fitted.
      const longer = encodePlainSubscribed({ topic, ...options, fixes: [...included, next], maxBytes: 1e6 });
      expect(Buffer.byteLength(longer.frame) + 1).toBeGreaterThan(options.maxBytes);
    }),
  );
});
