import { describe, expect, test } from 'vitest';
import { staleLagMarkers } from '../../src/feed/lag-marker-group.ts';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';

function streamEndingAt(lastGeneratedId: string, entriesAdded = 100) {
  return { exists: true, length: 10, lastGeneratedId, entriesAdded };
}

describe('the place in a stream', () => {
  test("starts the warm window before the stream's end, and has caught up when it is there", () => {
    const place = new StreamCursor('s');
    expect(place.locate(streamEndingAt('90000-3'), 60_000)).toBe(false);
    expect(place.appliedId).toBe('30000-0');
    expect(place.isCaughtUp).toBe(false);
    expect(place.entriesRead).toBeUndefined();
    place.advance(['50000-0', '90000-2']);
    expect(place.isCaughtUp).toBe(false);
    place.advance(['90000-3', '90001-0']);
    expect(place.isCaughtUp).toBe(true);
    expect(place.appliedId).toBe('90001-0');
    expect(place.entriesRead).toBe(101);
    place.advance(['90001-1', '90002-0']);
    expect(place.entriesRead).toBe(103);
    expect(place.lastRecordAtMs).toBe(90_002);
  });

  test('starts before all entries of a young stream, and has caught up at once with one that is not there', () => {
    const young = new StreamCursor('s');
    young.locate(streamEndingAt('5000-0'), 60_000);
    expect(young.appliedId).toBe('0-0');
    const absent = new StreamCursor('s');
    absent.locate({ exists: false, length: 0, lastGeneratedId: '0-0', entriesAdded: 0 }, 60_000);
    expect(absent.isCaughtUp).toBe(true);
    expect(absent.lastRecordAtMs).toBeNaN();
    absent.advance(['7-0']);
    expect(absent.entriesRead).toBe(1);
  });

  test('has caught up when nothing is left to read, though the last entries were deleted', () => {
    const place = new StreamCursor('s');
    place.locate(streamEndingAt('90000-3'), 60_000);
    place.advance([]);
    expect(place.isCaughtUp).toBe(true);
  });

  test('stays where it is after a reconnect, and goes to the end of a stream that has gone back', () => {
    const place = new StreamCursor('s');
    place.locate(streamEndingAt('90000-0'), 60_000);
    place.advance(['90000-0', '95000-0']);
    expect(place.locate(streamEndingAt('99000-0', 120), 60_000)).toBe(false);
    expect(place.appliedId).toBe('95000-0');
    expect(place.locate(streamEndingAt('94000-0', 7), 60_000)).toBe(true);
    expect(place.appliedId).toBe('94000-0');
    expect(place.isCaughtUp).toBe(true);
    place.advance(['94000-1']);
    expect(place.entriesRead).toBe(8);
  });
});

test('bookmarks are stale that stand an hour behind the end of the stream, and only ours', () => {
  const hourMs = 3_600_000;
  const groups = [
    { name: 'live-broadcast-dead', lastDeliveredId: '1000-0' },
    { name: 'live-broadcast-slow', lastDeliveredId: '1001-0' },
    { name: 'processor', lastDeliveredId: '0-0' },
  ];
  expect(staleLagMarkers(groups, `${1001 + hourMs}-0`, 'live-broadcast-')).toEqual(['live-broadcast-dead']);
  expect(staleLagMarkers(groups, '1001-0', 'live-broadcast-')).toEqual([]);
});
