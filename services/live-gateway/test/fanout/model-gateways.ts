import type { Bbox } from '@app/shared/messages';
import { expect } from 'vitest';
import { isInside } from '../../src/fanout/bbox.ts';
import type { Dialect } from '../../src/subscriptions/subscription.ts';
import { ModelReplica } from '../support/model-replica.ts';
import { eventIds } from '../support/model-storage.ts';
import type { ModelStorage } from '../support/model-storage.ts';
import { ModelViewer } from '../support/model-viewer.ts';

export const boxes: readonly (Bbox | undefined)[] = [undefined, [0, 0, 5, 90], [3, 0, 9, 90], [8, 0, 2, 90]];

export interface SubscribeValues {
  readonly replica: number;
  readonly event: number;
  readonly dialect: Dialect;
  readonly readsDeflated: boolean;
  readonly maxHz: number;
  readonly box: number;
}

/** Ticks after which everything unsent has been written. */
const ticksToRest = 64;

/** Two gateways on one stream and database, and their viewers. */
export class ModelGateways {
  readonly replicas: ModelReplica[];
  readonly viewers: ModelViewer[] = [];
  /** Changes that are made once the current tick has ended. */
  readonly changes: Promise<unknown>[] = [];
  /** The epochs that the stream has had. */
  epochs = 1;

  private constructor(replicas: ModelReplica[]) {
    this.replicas = replicas;
  }

  static async start(storage: ModelStorage, assigned: number): Promise<ModelGateways> {
    const gateways = new ModelGateways([
      new ModelReplica(storage, assigned, 0),
      new ModelReplica(storage, assigned, 0),
    ]);
    for (const replica of gateways.replicas) await replica.refresh();
    return gateways;
  }

  subscribe({ replica, event, box, ...values }: SubscribeValues): void {
    const viewer = new ModelViewer({ ...values, eventId: eventIds[event] ?? '', bbox: boxes[box] });
    this.viewers.push(viewer);
    this.replicas[replica]?.admit(viewer);
  }

  /** Applies everything, reconnects all viewers, and writes until nothing is unsent. */
  async comeToRest(storage: ModelStorage, assigned: number): Promise<void> {
    for (const replica of this.replicas) {
      await replica.finishTick();
      replica.read(storage.entries.length);
    }
    await Promise.all(this.changes);
    for (const replica of this.replicas) {
      await replica.reassign(assigned);
      await replica.refresh();
    }
    for (const viewer of this.viewers) {
      viewer.frameBudget = Number.POSITIVE_INFINITY;
      if (viewer.replica !== undefined) continue;
      const isAdmitted = this.replicas[this.viewers.length % 2]?.admit(viewer);
      if (isAdmitted !== true) throw new Error('the replica is still behind the cursor of the viewer');
    }
    for (const replica of this.replicas) {
      for (let tick = 0; tick < ticksToRest; tick += 1) await replica.fanOut.tick();
    }
  }
}

/** Expects that the viewer never went back in time and has the newest fix of each device that it may see. */
export function expectUpToDate(viewer: ModelViewer, storage: ModelStorage): void {
  expect(viewer.violations).toEqual([]);
  expect(viewer.subscription?.unsent).toBeUndefined();
  const { held, dialect, bbox, eventId, replica } = viewer;
  const devices = [...(replica?.registry.devicesOf(eventId).values() ?? [])];
  const expected = devices.flatMap(({ id, imei }) => {
    const fix = storage.newest(imei);
    if (fix === undefined || (bbox !== undefined && !isInside(bbox, fix.latitude, fix.longitude))) return [];
    return [[dialect === 'plain' ? imei : id, [fix.fixAtMs, fix.longitude]] as const];
  });
  // The plain dialect has no message for a device that is gone.
  if (dialect === 'plain') expect(Object.fromEntries(held)).toMatchObject(Object.fromEntries(expected));
  else expect(Object.fromEntries(held)).toEqual(Object.fromEntries(expected));
}
