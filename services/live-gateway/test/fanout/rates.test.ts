import { expect, test } from 'vitest';
import { ModelReplica } from '../support/model-replica.ts';
import { ModelStorage, eventIds, imeis } from '../support/model-storage.ts';
import { ModelViewer } from '../support/model-viewer.ts';

const [imei] = imeis;
const allAssigned = 255;

/** A gateway with ticks of 125 ms, and the fix times that each viewer has had after each tick. */
async function openReplica(rates: readonly number[]) {
  const storage = new ModelStorage();
  const replica = new ModelReplica(storage, allAssigned, 0);
  await replica.refresh();
  const viewers = rates.map(
    (maxHz) => new ModelViewer({ eventId: eventIds[0], dialect: 'batched', maxHz, bbox: undefined }),
  );
  for (const viewer of viewers) replica.admit(viewer);
  await replica.fanOut.tick();
  /** In each tick a new fix is published first. */
  const tickThrough = async (fixTimesMs: readonly number[]): Promise<readonly (readonly number[])[]> => {
    const received = viewers.map(() => new Set<number>());
    for (const fixAtMs of fixTimesMs) {
      storage.publish(imei, fixAtMs);
      replica.read(1);
      await replica.fanOut.tick();
      for (const [n, viewer] of viewers.entries()) {
        const [ts] = viewer.held.get(`id of ${imei}`) ?? [];
        if (ts !== undefined) received[n]?.add(ts);
      }
    }
    return received.map((times) => Array.from(times));
  };
  return { replica, viewers, tickThrough };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, n) => from + n);
}

test('a client gets one position per interval of its rate, which is the newest', async () => {
  const { tickThrough } = await openReplica([8, 2]);
  const [fast, slow] = await tickThrough(range(1, 16));
  expect(fast).toEqual(range(1, 16));
  expect(slow).toHaveLength(4);
  const [first = 0] = slow ?? [];
  expect(slow).toEqual([first, first + 4, first + 8, first + 12]);
});

test('a client that changes its rate gets positions at the new one', async () => {
  const { replica, viewers, tickThrough } = await openReplica([2]);
  const [viewer] = viewers;
  if (viewer === undefined) throw new Error('no viewer');
  const [slow] = await tickThrough(range(1, 8));
  expect(slow).toHaveLength(2);
  replica.changeView(viewer, 8, undefined);
  const [fast] = await tickThrough(range(9, 16));
  expect(fast).toEqual(range(9, 16));
});
