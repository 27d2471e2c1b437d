import { describe, expect, test } from 'vitest';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';
import { Timeline } from '../../src/feed/timeline.ts';
import { evaluateResume } from '../../src/subscriptions/resume.ts';
import { waitForCatchUp } from '../../src/subscriptions/wait-for-catch-up.ts';

/** Two streams, read from 100-0 to 150-0 and from 200-0 to 250-0. */
function openTimeline(): { timeline: Timeline; first: StreamCursor } {
  const cursors = [new StreamCursor('a'), new StreamCursor('b')] as const;
  const timeline = new Timeline(cursors, () => 'own');
  for (const [n, cursor] of cursors.entries()) {
    timeline.setEpoch(cursor, `epoch-${n}`);
    const start = (n + 1) * 100;
    cursor.relocate({ exists: true, length: 1, lastGeneratedId: `${start}-0`, entriesAdded: 1 }, 0);
    cursor.advance([`${start + 50}-0`]);
  }
  timeline.noteProgress();
  return { timeline, first: cursors[0] };
}

const epoch = 'epoch-0.epoch-1';

describe('a resume', () => {
  test.each([
    ['from the current offset', '150-0,250-0/devices', {}, 'recovered'],
    ['from the first offset that was read', '100-0,200-0/devices', {}, 'recovered'],
    ['with the same box', '120-0,220-0/devices.box', { bboxHash: 'box' }, 'recovered'],
    ['from before the first offset that was read', '99-9,220-0/devices', {}, 'out_of_range'],
    ['from ahead in one stream', '120-0,250-1/devices', {}, 'ahead'],
    ['from ahead in one stream and too old in the other', '1-0,250-1/devices', {}, 'ahead'],
    ['with another number of streams', '120-0/devices', {}, 'out_of_range'],
    ['with other devices', '120-0,220-0/other', {}, 'other_view'],
    ['with another box', '120-0,220-0/devices.box', { bboxHash: 'other' }, 'other_view'],
    ['from another epoch', '120-0,220-0/devices', { epoch: 'epoch-0.older' }, 'other_epoch'],
    ['from an invalid cursor', 'nonsense', {}, 'out_of_range'],
  ] as const)('%s has its outcome', (_name, cursor, options, outcome) => {
    const { timeline } = openTimeline();
    const { bboxHash, ...given } = { bboxHash: '', epoch, ...options };
    expect(evaluateResume({ cursor, ...given }, timeline, 'devices', bboxHash).outcome).toBe(outcome);
  });

  test('without a cursor has no outcome', () => {
    expect(evaluateResume(undefined, openTimeline().timeline, 'devices', '')).toEqual({ outcome: 'none' });
  });
});

describe('a cursor ahead of this gateway', () => {
  const point = { cursor: '160-0,250-0/devices', epoch };

  test('is no longer ahead once the stream has been applied up to it', async () => {
    const { timeline, first } = openTimeline();
    const waiting = waitForCatchUp(point, timeline, 60_000);
    first.advance(['155-0']);
    timeline.noteProgress();
    first.advance(['160-0']);
    timeline.noteProgress();
    expect(await waiting).toBe(false);
  });

  test('is still ahead after the limit', async () => {
    expect(await waitForCatchUp(point, openTimeline().timeline, 20)).toBe(true);
  });

  test('is no longer ahead once the epoch changes', async () => {
    const { timeline, first } = openTimeline();
    const waiting = waitForCatchUp(point, timeline, 60_000);
    timeline.invalidateEpoch(first);
    expect(await waiting).toBe(false);
    expect(timeline.epoch).toBe('own.epoch-1');
    expect(timeline.invalidatedEpoch(first)).toBe('epoch-0');
  });
});
