import { describe, expect, test } from 'vitest';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';

function streamEndingAt(lastGeneratedId: string, entriesAdded = 100) {
  return { exists: true, length: 10, lastGeneratedId, entriesAdded };
}

describe('a stream cursor', () => {
  test("starts the warm window before the stream's end and has caught up once it reaches that end", () => {
    const cursor = new StreamCursor('s');
    expect(cursor.relocate(streamEndingAt('90000-3'), 60_000)).toBe(false);
    expect(cursor.appliedId).toBe('30000-0');
    expect(cursor.isCaughtUp).toBe(false);
    expect(cursor.entriesRead).toBeUndefined();
    cursor.advance(['50000-0', '90000-2']);
    expect(cursor.isCaughtUp).toBe(false);
    cursor.advance(['90000-3', '90001-0']);
    expect(cursor.isCaughtUp).toBe(true);
    expect(cursor.appliedId).toBe('90001-0');
    expect(cursor.entriesRead).toBe(101);
    cursor.advance(['90001-1', '90002-0']);
    expect(cursor.entriesRead).toBe(103);
    expect(cursor.lastEntryAtMs).toBe(90_002);
  });

  test('starts at the first entry of a young stream and has caught up with a missing one', () => {
    const young = new StreamCursor('s');
    young.relocate(streamEndingAt('5000-0'), 60_000);
    expect(young.appliedId).toBe('0-0');
    const absent = new StreamCursor('s');
    absent.relocate({ exists: false, length: 0, lastGeneratedId: '0-0', entriesAdded: 0 }, 60_000);
    expect(absent.isCaughtUp).toBe(true);
    expect(absent.lastEntryAtMs).toBeNaN();
    absent.advance(['7-0']);
    expect(absent.entriesRead).toBe(1);
  });

  test('has caught up when nothing is left to read because the last entries were deleted', () => {
    const cursor = new StreamCursor('s');
    cursor.relocate(streamEndingAt('90000-3'), 60_000);
    cursor.advance([]);
    expect(cursor.isCaughtUp).toBe(true);
  });

  test('stays in place after a reconnect and moves to the end of a rewound stream', () => {
    const cursor = new StreamCursor('s');
    cursor.relocate(streamEndingAt('90000-0'), 60_000);
    cursor.advance(['90000-0', '95000-0']);
    expect(cursor.relocate(streamEndingAt('99000-0', 120), 60_000)).toBe(false);
    expect(cursor.appliedId).toBe('95000-0');
    expect(cursor.relocate(streamEndingAt('94000-0', 7), 60_000)).toBe(true);
    expect(cursor.appliedId).toBe('94000-0');
    expect(cursor.isCaughtUp).toBe(true);
    cursor.advance(['94000-1']);
    expect(cursor.entriesRead).toBe(8);
  });
});
