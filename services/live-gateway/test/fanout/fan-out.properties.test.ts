import { chosenSeed } from '@app/test-kit/chosen-seed';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ModelReplica } from '../support/model-replica.ts';
import { ModelStorage, eventIds, imeis } from '../support/model-storage.ts';
import { ModelViewer } from '../support/model-viewer.ts';
import { assigned, commands, firstSubscribers } from './fan-out-commands.ts';
import { ModelGateways, expectUpToDate } from './model-gateways.ts';

test(
  'in any interleaving no client goes back in time, and at rest each has the newest fixes',
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(assigned, firstSubscribers, commands, async (bits, subscribers, history) => {
        const storage = new ModelStorage();
        const gateways = await ModelGateways.start(storage, bits);
        for (const values of subscribers) gateways.subscribe(values);
        for (const replica of gateways.replicas) await replica.fanOut.tick();
        await fc.asyncModelRun(() => ({ model: storage, real: gateways }), history);
        await gateways.comeToRest(storage, bits);
        for (const viewer of gateways.viewers) expectUpToDate(viewer, storage);
      }),
      { seed: chosenSeed('LIVE_SEED'), numRuns: 1500 },
    );
  },
);

test('a client drops a faulty fix when it resumes on a gateway that knows that the fix is faulty', async () => {
  const storage = new ModelStorage();
  const [uninformed, informed] = [new ModelReplica(storage, 255, 0), new ModelReplica(storage, 255, 0)];
  for (const replica of [uninformed, informed]) await replica.refresh();
  const publish = async (imei: string, fixAtMs: number): Promise<void> => {
    storage.publish(imei, fixAtMs);
    for (const replica of [uninformed, informed]) {
      replica.read(1);
      for (let tick = 0; tick < 4; tick += 1) await replica.fanOut.tick();
    }
  };
  const [imei, otherImei] = imeis;
  const viewer = new ModelViewer({ eventId: eventIds[0], dialect: 'batched', maxHz: 8, bbox: undefined });
  uninformed.admit(viewer);
  await publish(imei, 50);
  storage.markFaulty(imei);
  await informed.refresh();
  // Newer than the informed gateway's fix, older than the faulty one that the client shows.
  await publish(imei, 20);
  // Moves the client's cursor past both.
  await publish(otherImei, 1);
  expect(viewer.held.get(`id of ${imei}`)?.[0]).toBe(50);
  uninformed.dismiss(viewer);
  informed.admit(viewer);
  for (let tick = 0; tick < 4; tick += 1) await informed.fanOut.tick();
  expect(viewer.held.get(`id of ${imei}`)?.[0]).toBe(20);
  expect(viewer.violations).toEqual([]);
});
