import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import * as fc from 'fast-check';
import { ModelReplica } from '../support/model-replica.ts';
import { imeis } from '../support/model-storage.ts';
import type { ModelStorage } from '../support/model-storage.ts';
import type { ModelViewer } from '../support/model-viewer.ts';
import { boxes } from './model-gateways.ts';
import type { ModelGateways, SubscribeValues } from './model-gateways.ts';

/** The model is what was published and marked faulty; the real system is the gateways and their viewers. */
abstract class Command<T> implements fc.AsyncCommand<ModelStorage, ModelGateways> {
  protected readonly values: T;

  constructor(values: T) {
    this.values = values;
  }

  check(): boolean {
    return true;
  }

  toString(): string {
    return `${this.constructor.name}(${JSON.stringify(this.values)})`;
  }

  async run(storage: ModelStorage, gateways: ModelGateways): Promise<void> {
    await this.apply(storage, gateways);
  }

  abstract apply(storage: ModelStorage, gateways: ModelGateways): Promise<void> | void;
}

abstract class ReplicaCommand<T extends { readonly replica: number }> extends Command<T> {
  async apply(storage: ModelStorage, gateways: ModelGateways): Promise<void> {
    const replica = gateways.replicas[this.values.replica];
    if (replica !== undefined) await this.runOn(replica, gateways, storage);
  }

  abstract runOn(replica: ModelReplica, gateways: ModelGateways, storage: ModelStorage): Promise<void> | void;
}

abstract class ViewerCommand<T extends { readonly viewer: number }> extends Command<T> {
  apply(_storage: ModelStorage, gateways: ModelGateways): void {
    const viewer = gateways.viewers[this.values.viewer % Math.max(1, gateways.viewers.length)];
    if (viewer !== undefined) this.runOn(viewer, gateways);
  }

  abstract runOn(viewer: ModelViewer, gateways: ModelGateways): void;
}

class Publish extends Command<{ readonly device: number; readonly at: number }> {
  apply(storage: ModelStorage, _gateways: ModelGateways): void {
    storage.publish(imeis[this.values.device] ?? '', this.values.at);
  }
}

/** Publishes a fix that both gateways read at once. */
class PublishAndRead extends Publish {
  override apply(storage: ModelStorage, gateways: ModelGateways): void {
    super.apply(storage, gateways);
    for (const replica of gateways.replicas) replica.read(storage.entries.length);
  }
}

class MarkFaulty extends Command<{ readonly device: number }> {
  apply(storage: ModelStorage): void {
    storage.markFaulty(imeis[this.values.device] ?? '');
  }
}

class ReadStream extends ReplicaCommand<{ readonly replica: number; readonly count: number }> {
  runOn(replica: ModelReplica): void {
    replica.read(this.values.count);
  }
}

/** Starts a tick, unless one is running. */
class StartTick extends ReplicaCommand<{ readonly replica: number }> {
  runOn(replica: ModelReplica): void {
    replica.tick();
  }
}

/** Lets running ticks write one more slice. */
class WriteSlice extends Command<object> {
  async apply(): Promise<void> {
    await yieldToEventLoop();
  }
}

class Subscribe extends Command<SubscribeValues> {
  apply(_storage: ModelStorage, gateways: ModelGateways): void {
    gateways.subscribe(this.values);
  }
}

class Unsubscribe extends ViewerCommand<{ readonly viewer: number }> {
  runOn(viewer: ModelViewer, { viewers }: ModelGateways): void {
    viewer.replica?.dismiss(viewer);
    viewers.splice(viewers.indexOf(viewer), 1);
  }
}

/** The client takes no more than a few frames from now on. */
class Lag extends ViewerCommand<{ readonly viewer: number; readonly frames: number }> {
  runOn(viewer: ModelViewer): void {
    viewer.frameBudget = this.values.frames;
  }
}

class Disconnect extends ViewerCommand<{ readonly viewer: number }> {
  runOn(viewer: ModelViewer): void {
    viewer.replica?.dismiss(viewer);
  }
}

class Resume extends ViewerCommand<{ readonly viewer: number; readonly replica: number }> {
  runOn(viewer: ModelViewer, { replicas }: ModelGateways): void {
    if (viewer.replica !== undefined) return;
    viewer.frameBudget = Number.POSITIVE_INFINITY;
    replicas[this.values.replica]?.admit(viewer);
  }
}

class ChangeView extends ViewerCommand<{
  readonly viewer: number;
  readonly maxHz: number;
  readonly box: number;
}> {
  runOn(viewer: ModelViewer): void {
    viewer.replica?.changeView(viewer, this.values.maxHz, boxes[this.values.box]);
  }
}

class Reassign extends ReplicaCommand<{ readonly replica: number; readonly assigned: number }> {
  runOn(replica: ModelReplica, { changes }: ModelGateways): void {
    changes.push(replica.reassign(this.values.assigned));
  }
}

/** Compares the latest fixes with Postgres. */
class Hydrate extends ReplicaCommand<{ readonly replica: number }> {
  runOn(replica: ModelReplica, { changes }: ModelGateways): void {
    changes.push(replica.refresh());
  }
}

class RestartGateway extends ReplicaCommand<{
  readonly replica: number;
  readonly warmEntries: number;
  readonly assigned: number;
}> {
  async runOn(replica: ModelReplica, gateways: ModelGateways, storage: ModelStorage): Promise<void> {
    await replica.finishTick();
    for (const viewer of Array.from(replica.viewers)) replica.dismiss(viewer);
    const restarted = new ModelReplica(storage, this.values.assigned, this.values.warmEntries);
    gateways.replicas[this.values.replica] = restarted;
    await restarted.refresh();
  }
}

/** The stream was rewound: it has a new epoch. */
class ReplaceEpoch extends Command<object> {
  apply(storage: ModelStorage, gateways: ModelGateways): void {
    storage.epoch = `epoch-${gateways.epochs}`;
    gateways.epochs += 1;
    for (const replica of gateways.replicas) gateways.changes.push(replica.noteEpoch());
  }
}

/** Assignments as bits. Most devices are in both events: where none are, nothing happens. */
export const assigned = fc.nat(255).map((missing) => 255 - missing);

const viewer = fc.nat(5);
const replica = fc.nat(1);
const device = fc.nat(imeis.length - 1);
const fix = { device, at: fc.integer({ min: 1, max: 60 }) };
const view = { maxHz: fc.constantFrom(8, 2), box: fc.nat(boxes.length - 1) };
const subscribe = {
  replica,
  // Mostly one event, so that several viewers share a frame.
  event: fc.constantFrom(0, 0, 0, 1),
  dialect: fc.constantFrom('batched' as const, 'batched' as const, 'plain' as const),
  readsDeflated: fc.boolean(),
  ...view,
};

export const firstSubscribers = fc.array(fc.record(subscribe), { minLength: 1, maxLength: 5, size: 'max' });

function weighted<T>(
  weight: number,
  type: new (values: T) => Command<T>,
  fields: { [K in keyof T]: fc.Arbitrary<T[K]> },
): fc.WeightedArbitrary<fc.AsyncCommand<ModelStorage, ModelGateways>> {
  return { weight, arbitrary: fc.record<T>(fields).map((values) => new type(values)) };
}

/** An array, because `fc.commands` generates values without bias, so that few commands concern the same device. */
export const commands = fc.array(
  fc.oneof(
    weighted(3, Publish, fix),
    weighted(8, PublishAndRead, fix),
    weighted(6, ReadStream, { replica, count: fc.integer({ min: 1, max: 4 }) }),
    weighted(6, StartTick, { replica }),
    weighted(3, WriteSlice, {}),
    weighted(2, Subscribe, subscribe),
    weighted(1, Unsubscribe, { viewer }),
    weighted(3, Lag, { viewer, frames: fc.nat(2) }),
    weighted(2, Disconnect, { viewer }),
    weighted(3, Resume, { viewer, replica }),
    weighted(2, ChangeView, { viewer, ...view }),
    weighted(1, Reassign, { replica, assigned }),
    weighted(1, MarkFaulty, { device }),
    weighted(2, Hydrate, { replica }),
    weighted(1, RestartGateway, { replica, warmEntries: fc.nat(3), assigned }),
    weighted(1, ReplaceEpoch, {}),
  ),
  { minLength: 20, maxLength: 100, size: 'max' },
);
