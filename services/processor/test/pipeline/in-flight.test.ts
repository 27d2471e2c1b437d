import { expect, test } from 'vitest';
import { entryOf } from '../support/fixes.ts';
import { InFlight } from '../../src/pipeline/in-flight.ts';
import type { EntryBatch } from '../../src/stream/read-entries.ts';

function batch(ids: readonly string[], vanishedIds: readonly string[] = []): EntryBatch {
  return { entries: ids.map((id) => entryOf(id, [])), vanishedIds, isQuarantined: false };
}

test('knows the ids of all batches in flight, the vanished ones among them', () => {
  const inFlight = new InFlight();
  const first = batch(['1-0', '2-0'], ['3-0']);
  inFlight.add(first);
  inFlight.add(batch(['4-0']));
  expect(inFlight.ids()).toEqual(new Set(['1-0', '2-0', '3-0', '4-0']));
  inFlight.remove(first);
  expect(inFlight.ids()).toEqual(new Set(['4-0']));
});

test('there is room at once below the limit, and else as soon as batches leave', async () => {
  const inFlight = new InFlight();
  const batches = [batch(['1-0']), batch(['2-0']), batch(['3-0'])];
  for (const each of batches) inFlight.add(each);
  await inFlight.capacity(3);

  const events: string[] = [];
  const waited = inFlight.capacity(1).then(() => events.push('room'));
  for (const each of batches.slice(0, 2)) {
    await Promise.resolve();
    events.push('left');
    inFlight.remove(each);
  }
  await waited;
  expect(events).toEqual(['left', 'left', 'room']);
});
