import { expect, test } from 'vitest';
import { entryOf } from '../support/fixes.ts';
import { InFlight } from '../../src/pipeline/in-flight.ts';
import type { EntryBatch } from '../../src/stream/entry-batch.ts';

function batch(ids: readonly string[], vanishedIds: readonly string[] = []): EntryBatch {
  return { entries: ids.map((id) => entryOf(id, [])), vanishedIds, isQuarantined: false };
}

test('ids in flight are those of all batches, vanished ones included', () => {
  const inFlight = new InFlight();
  const first = batch(['1-0', '2-0'], ['3-0']);
  inFlight.add(first);
  inFlight.add(batch(['4-0']));
  expect(inFlight.ids()).toEqual(new Set(['1-0', '2-0', '3-0', '4-0']));
  inFlight.remove(first);
  expect(inFlight.ids()).toEqual(new Set(['4-0']));
});
