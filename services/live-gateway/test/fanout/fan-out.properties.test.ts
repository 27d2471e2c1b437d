import { setImmediate as letOthersRun } from 'node:timers/promises';
import type { Bbox } from '@app/shared/messages';
import { chosenSeed } from '@app/test-kit/chosen-seed';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isInside } from '../../src/fanout/bbox.ts';
import { ModelRace, ModelReplica, eventIds, imeis } from '../support/model-race.ts';
import { ModelViewer } from '../support/model-viewer.ts';

const boxes: readonly (Bbox | undefined)[] = [undefined, [0, 0, 5, 90], [3, 0, 9, 90], [8, 0, 2, 90]];
const rates = [8, 2] as const;
const who = fc.nat(5);
const replica = fc.nat(1);
/** Mostly all devices in both events: where there are none nothing happens. */
const assigned = fc.nat(255).map((missing) => 255 - missing);
const view = { maxHz: fc.constantFrom(...rates), box: fc.nat(boxes.length - 1) };

function step<T extends string, F extends object>(
  weight: number,
  name: T,
  fields: { [K in keyof F]: fc.Arbitrary<F[K]> },
): { weight: number; arbitrary: fc.Arbitrary<F & { readonly do: T }> } {
  return { weight, arbitrary: fc.record<F>(fields).map((values) => Object.assign(values, { do: name })) };
}

const wish = {
  replica,
  // Mostly one event, so that there is somebody to share a frame with.
  event: fc.constantFrom(0, 0, 0, 1),
  dialect: fc.constantFrom('batched' as const, 'batched' as const, 'plain' as const),
  ...view,
};
type Wish = { readonly [F in keyof typeof wish]: (typeof wish)[F] extends fc.Arbitrary<infer T> ? T : never };
const device = fc.nat(imeis.length - 1);
const at = fc.integer({ min: 1, max: 60 });
const wishes = fc.array(fc.record(wish), { minLength: 1, maxLength: 5, size: 'max' });

const steps = fc.array(
  fc.oneof(
    step(3, 'publish', { device, at }),
    step(8, 'feed', { device, at }),
    step(6, 'read', { replica, count: fc.integer({ min: 1, max: 4 }) }),
    step(6, 'tick', { replica }),
    step(3, 'slice', {}),
    step(2, 'subscribe', wish),
    step(1, 'unsubscribe', { who }),
    step(3, 'starve', { who, appetite: fc.nat(2) }),
    step(2, 'drop', { who }),
    step(3, 'resume', { who, replica }),
    step(2, 'update', { who, ...view }),
    step(1, 'reassign', { replica, bits: assigned }),
    step(1, 'faulty', { device }),
    step(2, 'refresh', { replica }),
    step(1, 'restart', { replica, warmEntries: fc.nat(3), bits: assigned }),
    step(1, 'epoch', {}),
  ),
  { minLength: 20, maxLength: 100, size: 'max' },
);

describe('over subscribing, updating, reassigning, slowing down, dropping and resuming on another replica', () => {
  test(
    'no client is taken back, and at rest each holds what the newest fixes say',
    { timeout: 60_000 },
    async () => {
      await fc.assert(
        fc.asyncProperty(assigned, wishes, steps, async (bits, firstWishes, history) => {
          const race = new ModelRace();
          const replicas = [new ModelReplica(race, bits, 0), new ModelReplica(race, bits, 0)];
          const viewers: ModelViewer[] = [];
          let epochs = 0;
          const pending: Promise<unknown>[] = [];
          const subscribe = (given: Wish): void => {
            const eventId = eventIds[given.event] ?? '';
            const viewer = new ModelViewer({ ...given, eventId, bbox: boxes[given.box] });
            viewers.push(viewer);
            replicas[given.replica]?.admit(viewer);
          };
          for (const each of replicas) await each.refresh();
          for (const given of firstWishes) subscribe(given);
          for (const each of replicas) await each.fanOut.tick();

          for (const s of history) {
            const chosen = 'who' in s ? viewers[s.who % Math.max(1, viewers.length)] : undefined;
            const gateway = 'replica' in s ? replicas[s.replica] : undefined;
            if (s.do === 'publish') race.publish(imeis[s.device] ?? '', s.at);
            else if (s.do === 'read') gateway?.read(s.count);
            else if (s.do === 'tick') gateway?.tick();
            else if (s.do === 'slice') await letOthersRun();
            else if (s.do === 'feed') {
              race.publish(imeis[s.device] ?? '', s.at);
              for (const each of replicas) each.read(race.entries.length);
            } else if (s.do === 'subscribe') {
              subscribe(s);
            } else if (s.do === 'unsubscribe' && chosen !== undefined) {
              chosen.replica?.dismiss(chosen);
              viewers.splice(viewers.indexOf(chosen), 1);
            } else if (s.do === 'starve' && chosen !== undefined) chosen.appetite = s.appetite;
            else if (s.do === 'drop' && chosen !== undefined) chosen.replica?.dismiss(chosen);
            else if (s.do === 'resume' && chosen?.replica === undefined && chosen !== undefined) {
              chosen.appetite = Number.POSITIVE_INFINITY;
              gateway?.admit(chosen);
            } else if (s.do === 'update' && chosen !== undefined) {
              chosen.replica?.changeView(chosen, s.maxHz, boxes[s.box]);
            } else if (s.do === 'reassign' && gateway !== undefined) pending.push(gateway.reassign(s.bits));
            else if (s.do === 'faulty') race.markFaulty(imeis[s.device] ?? '');
            else if (s.do === 'refresh' && gateway !== undefined) pending.push(gateway.refresh());
            else if (s.do === 'restart' && gateway !== undefined) {
              await gateway.rest();
              for (const viewer of Array.from(gateway.viewers)) gateway.dismiss(viewer);
              const next = new ModelReplica(race, s.bits, s.warmEntries);
              replicas[s.replica] = next;
              await next.refresh();
            } else if (s.do === 'epoch') {
              epochs += 1;
              race.epoch = `epoch-${epochs}`;
              for (const each of replicas) pending.push(each.noteEpoch());
            }
          }

          // To rest: everything is read, compared, assigned alike, taken, and everybody is back.
          for (const each of replicas) {
            await each.rest();
            each.read(race.entries.length);
          }
          await Promise.all(pending);
          for (const each of replicas) {
            await each.reassign(bits);
            await each.refresh();
          }
          for (const viewer of viewers) {
            viewer.appetite = Number.POSITIVE_INFINITY;
            if (viewer.replica === undefined) expect(replicas[viewers.length % 2]?.admit(viewer)).toBe(true);
          }
          for (const each of replicas) {
            for (let rest = 0; rest < 64; rest += 1) await each.fanOut.tick();
          }

          for (const viewer of viewers) {
            expect(viewer.complaints).toEqual([]);
            const { held, dialect, bbox } = viewer;
            const roster = [...(viewer.replica?.registry.devicesOf(viewer.eventId).values() ?? [])];
            const wanted = roster.flatMap(({ id, imei }) => {
              const fix = race.newest(imei);
              if (fix === undefined || (bbox !== undefined && !isInside(bbox, fix.latitude, fix.longitude)))
                return [];
              return [[dialect === 'plain' ? imei : id, [fix.fixAtMs, fix.longitude]] as const];
            });
            // The plain dialect has no word for what is not there any more.
            if (dialect === 'plain')
              expect(Object.fromEntries(held)).toMatchObject(Object.fromEntries(wanted));
            else expect(Object.fromEntries(held)).toEqual(Object.fromEntries(wanted));
            expect(viewer.subscription?.pending).toBeUndefined();
          }
        }),
        { seed: chosenSeed('LIVE_SEED'), numRuns: 1500 },
      );
    },
  );
});

test('a client that was shown a fix found faulty forgets it at a gateway that knows better', async () => {
  const race = new ModelRace();
  const [late, informed] = [new ModelReplica(race, 255, 0), new ModelReplica(race, 255, 0)];
  for (const each of [late, informed]) await each.refresh();
  const feed = async (imei: string, fixAtMs: number): Promise<void> => {
    race.publish(imei, fixAtMs);
    for (const each of [late, informed]) {
      each.read(1);
      for (let n = 0; n < 4; n += 1) await each.fanOut.tick();
    }
  };
  const [imei, other] = imeis;
  const viewer = new ModelViewer({ eventId: eventIds[0], dialect: 'batched', maxHz: 8, bbox: undefined });
  late.admit(viewer);
  await feed(imei, 50);
  race.markFaulty(imei);
  await informed.refresh();
  // Newer than what the informed one holds, older than what the other shows; and its cursor is past it.
  await feed(imei, 20);
  await feed(other, 1);
  expect(viewer.held.get(`id of ${imei}`)?.[0]).toBe(50);
  late.dismiss(viewer);
  informed.admit(viewer);
  for (let n = 0; n < 4; n += 1) await informed.fanOut.tick();
  expect(viewer.held.get(`id of ${imei}`)?.[0]).toBe(20);
  expect(viewer.complaints).toEqual([]);
});
