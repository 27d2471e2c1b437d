import { describe, expect, test } from 'vitest';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';
import { Timeline } from '../../src/feed/timeline.ts';
import type { HeldFix, LatestFix } from '../../src/latest/latest-fixes.ts';
import { LatestFixes } from '../../src/latest/latest-fixes.ts';
import { encodeCursor, parseCursor, viewOf } from '../../src/protocol/cursor.ts';
import { isAheadAfter, evaluateResume, missedSince } from '../../src/subscriptions/resume.ts';
import { DeviceIndex } from '../../src/fanout/device-index.ts';

/** Two streams, read from 100-0 and 200-0 to 150-0 and 250-0. */
function openTimeline(): { timeline: Timeline; places: readonly [StreamCursor, StreamCursor] } {
  const places = [new StreamCursor('a'), new StreamCursor('b')] as const;
  const timeline = new Timeline(places, () => 'own');
  for (const [at, place] of places.entries()) {
    timeline.setEpoch(place, `epoch-${at}`);
    const start = (at + 1) * 100;
    place.locate({ exists: true, length: 1, lastGeneratedId: `${start}-0`, entriesAdded: 1 }, 0);
    place.advance([`${start + 50}-0`]);
  }
  timeline.noteProgress();
  return { timeline, places };
}

const epoch = 'epoch-0.epoch-1';

function outcomeOf(cursor: string, given: { epoch?: string; bboxHash?: string } = {}): string {
  const { timeline } = openTimeline();
  return evaluateResume({ cursor, epoch: given.epoch ?? epoch }, timeline, 'roster', given.bboxHash ?? '')
    .outcome;
}

describe('a cursor', () => {
  test('says what it was made of', () => {
    const { timeline } = openTimeline();
    const cursor = encodeCursor(timeline.streamOffset ?? '', viewOf('roster', 'box'));
    expect(parseCursor(cursor)).toEqual({ appliedIds: ['150-0', '250-0'], view: 'roster.box' });
    expect(viewOf('roster', '')).toBe('roster');
  });

  test.each([
    '',
    '/',
    'x/roster',
    '1-0,/roster',
    '1/roster',
    '01-0/roster',
    '1-0,2-0',
    '-1-0/r',
    `${'9'.repeat(30)}-0/r`,
  ])('%j is none', (text) => expect(parseCursor(text)).toBeUndefined());

  test.each([
    ['of now', '150-0,250-0/roster', {}, 'recovered'],
    ['of the oldest that was read', '100-0,200-0/roster', {}, 'recovered'],
    ['of the same box', '120-0,220-0/roster.box', { bboxHash: 'box' }, 'recovered'],
    ['older than what was read', '99-9,220-0/roster', {}, 'out_of_range'],
    ['ahead in one stream', '120-0,250-1/roster', {}, 'ahead'],
    ['ahead in one stream and too old in the other', '1-0,250-1/roster', {}, 'ahead'],
    ['of fewer streams', '120-0/roster', {}, 'out_of_range'],
    ['of other devices', '120-0,220-0/other', {}, 'other_view'],
    ['of another box', '120-0,220-0/roster.box', { bboxHash: 'other' }, 'other_view'],
    ['of another epoch', '120-0,220-0/roster', { epoch: 'epoch-0.older' }, 'other_epoch'],
    ['that is none', 'nonsense', {}, 'out_of_range'],
  ] as const)('%s is judged', (_name, cursor, given, outcome) =>
    expect(outcomeOf(cursor, given)).toBe(outcome),
  );

  test('that is not there is not missed', () => {
    expect(evaluateResume(undefined, openTimeline().timeline, 'roster', '')).toEqual({ outcome: 'none' });
  });
});

describe('a cursor ahead of this replica', () => {
  test('is waited for, and no longer than it takes', async () => {
    const { timeline, places } = openTimeline();
    const point = { cursor: '160-0,250-0/roster', epoch };
    const waiting = isAheadAfter(point, timeline, 60_000);
    places[0].advance(['155-0']);
    timeline.noteProgress();
    places[0].advance(['160-0']);
    timeline.noteProgress();
    expect(await waiting).toBe(false);
  });

  test('is given up on after the limit, and at once when the epoch changes', async () => {
    const { timeline, places } = openTimeline();
    const point = { cursor: '160-0,250-0/roster', epoch };
    expect(await isAheadAfter(point, timeline, 20)).toBe(true);
    const waiting = isAheadAfter(point, timeline, 60_000);
    timeline.invalidateEpoch(places[0]);
    expect(await waiting).toBe(false);
    expect(timeline.epoch).toBe('own.epoch-1');
    expect(timeline.invalidatedEpoch(places[0])).toBe('epoch-0');
  });
});

function fixOf(deviceId: string, fixAtMs: number, stamp: LatestFix['stamp']): LatestFix {
  return {
    deviceId,
    fixAtMs,
    latitude: 1,
    longitude: 2,
    altitudeM: 3,
    courseDeg: 4,
    speedKmh: 5,
    arrivedAtMs: undefined,
    stamp,
  };
}

function holdNothing(): HeldFix {
  return { fix: undefined, faultyAtMs: undefined, isHydrated: true };
}

describe('what was missed since a cursor', () => {
  test('is what was stamped later, in the stream that stamped it, and what no entry has stamped', () => {
    const latest = new LatestFixes(Number.POSITIVE_INFINITY);
    const imeis = ['before', 'at', 'after', 'other stream', 'postgres', 'none', 'was faulty', 'recovered'];
    const roster = new DeviceIndex(
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
    const missed = missedSince(['120-0', '200-0'], roster);
    const names = (seats: Iterable<number>): readonly string[] =>
      Array.from(seats, (seat) => roster.at(seat)?.device.imei ?? '');
    expect(names(missed.pending)).toEqual(['after', 'postgres', 'none', 'was faulty']);
    expect(missed.invalidIds).toEqual(['id of postgres', 'id of none', 'id of was faulty']);
    expect(names(missedSince(['120-0', '129-0'], roster).pending)).toContain('other stream');
  });

  test('is told apart by the devices of the event, however they came to be in it', () => {
    const [a, b, c] = ['a', 'b', 'c'].map((imei) => ({ id: `id ${imei}`, imei }));
    if (a === undefined || b === undefined || c === undefined) throw new Error('three were made');
    const roster = new DeviceIndex([a, b], holdNothing);
    const hash = roster.hash;
    const freed: number[] = [];
    expect(roster.change({ added: [c], removed: [a] }, (seat) => freed.push(seat))).toEqual(freed);
    expect(roster.hash).not.toBe(hash);
    expect(roster.hash).toBe(new DeviceIndex([c, b], holdNothing).hash);
    roster.change({ added: [a], removed: [c] }, () => undefined);
    expect(roster.hash).toBe(hash);
    expect(roster.size).toBe(2);
  });
});
