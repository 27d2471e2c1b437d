import { eventTopic } from '@app/shared/topics';
import type { Bbox } from '@app/shared/messages';
import { indexAssignments } from '../../src/assignments/assignments.ts';
import { FanOut } from '../../src/fanout/fan-out.ts';
import { StreamCursor } from '../../src/feed/stream-cursor.ts';
import { Timeline } from '../../src/feed/timeline.ts';
import { hydrateLatest } from '../../src/latest/hydrate-latest.ts';
import { LatestFixes } from '../../src/latest/latest-fixes.ts';
import { registerSubscription } from '../../src/subscriptions/register-subscription.ts';
import type { RegisterContext } from '../../src/subscriptions/subscribe-request.ts';
import { SubscriptionRegistry } from '../../src/subscriptions/subscription-registry.ts';
import { evaluateResume } from '../../src/subscriptions/resume.ts';
import { changeView } from '../../src/subscriptions/update.ts';
import { assignmentsOf, imeis } from './model-storage.ts';
import type { ModelStorage } from './model-storage.ts';
import type { ModelViewer } from './model-viewer.ts';

/** A gateway without sockets and servers, with the real latest fixes, registry, timeline and fan-out. */
export class ModelReplica {
  readonly latest = new LatestFixes(Number.POSITIVE_INFINITY);
  readonly registry: SubscriptionRegistry;
  readonly fanOut: FanOut;
  readonly viewers = new Set<ModelViewer>();
  readonly #storage: ModelStorage;
  readonly #cursor = new StreamCursor('stream');
  readonly #timeline: Timeline;
  readonly #context: RegisterContext;
  #applied: number;
  #ticking: Promise<void> | undefined;

  /** @param warmEntries number of entries replayed at start-up. */
  constructor(storage: ModelStorage, bits: number, warmEntries: number) {
    this.#storage = storage;
    this.#cursor.relocate(
      {
        exists: true,
        length: 0,
        lastGeneratedId: `${storage.entries.length}-0`,
        entriesAdded: storage.entries.length,
      },
      warmEntries,
    );
    this.#applied = Math.max(0, storage.entries.length - warmEntries);
    let epochs = 0;
    this.#timeline = new Timeline([this.#cursor], () => `own-${(epochs += 1)}`);
    this.#timeline.noteProgress();
    this.#timeline.setEpoch(this.#cursor, storage.epoch);
    this.registry = new SubscriptionRegistry({
      // Small, so that a few viewers are spread over the ticks like a large audience.
      groupSize: 2,
      latest: this.latest,
      streamOffset: () => this.#timeline.streamOffset,
      onConflated: ignore,
    });
    const meter = {
      onTick: ignore,
      onPositionsSent: ignore,
      onSnapshot: ignore,
      onConflated: ignore,
      onDelivered: ignore,
    };
    // One socket per slice and two rows per frame, for the most interleavings.
    const sizes = { sliceSockets: 1, rowBytes: 80, minDeflatedRecipients: 1 };
    this.fanOut = new FanOut({ registry: this.registry, latest: this.latest, meter, nowMs, ...sizes });
    this.#context = {
      registry: this.registry,
      latest: this.latest,
      timeline: this.#timeline,
      tickMs: 125,
      nowMs,
      onSnapshot: ignore,
      onResume: ignore,
    };
    this.registry.reassign(indexAssignments(assignmentsOf(bits)), 0);
  }

  /** Applies the next entries of the stream. */
  read(count: number): void {
    const next = this.#storage.entries.slice(this.#applied, this.#applied + count);
    for (const fix of next) {
      if (!this.registry.isAssigned(fix.deviceId)) this.latest.offerUnassigned(fix);
      else if (this.latest.offer(fix)) this.registry.markChanged(fix.deviceId);
    }
    this.#applied += next.length;
    this.#cursor.advance(next.map(({ entryRef }) => entryRef?.id ?? ''));
    this.#timeline.noteProgress();
  }

  tick(): void {
    this.#ticking ??= this.fanOut.tick().finally(() => {
      this.#ticking = undefined;
    });
  }

  async finishTick(): Promise<void> {
    await this.#ticking;
  }

  reassign(bits: number): Promise<void> {
    return this.fanOut.betweenTicks(() => {
      this.registry.reassign(indexAssignments(assignmentsOf(bits)), 0);
      this.latest.keepOnly((imei) => this.registry.isAssigned(imei));
    });
  }

  /** Compares with Postgres. */
  async refresh(): Promise<void> {
    const { latest, registry } = this;
    const assigned = imeis.filter((imei) => registry.isAssigned(imei));
    await hydrateLatest(latest, assigned, {
      readNewest: (queries) => Promise.resolve(this.#storage.readNewest(queries)),
      applyHydration: (hydrate) =>
        this.fanOut.betweenTicks(() => {
          const { moved, retracted } = hydrate();
          // The result may contain devices that were unassigned during the query.
          latest.keepOnly((imei) => registry.isAssigned(imei));
          for (const imei of moved) registry.markChanged(imei);
          registry.markReset(retracted);
        }),
      nowMs,
    });
  }

  /** Takes over the stream's new epoch. */
  noteEpoch(): Promise<void> {
    this.#timeline.invalidateEpoch(this.#cursor);
    this.#timeline.setEpoch(this.#cursor, this.#storage.epoch);
    return this.fanOut.betweenTicks(() => this.registry.resync());
  }

  /** Connects a viewer with its cursor, if any; returns false if this replica is behind the cursor. */
  admit(viewer: ModelViewer): boolean {
    const resumeFrom = viewer.resumePoint;
    if (evaluateResume(resumeFrom, this.#timeline, '', '').outcome === 'ahead') return false;
    const recipient = viewer.connect();
    const { eventId, dialect, readsDeflated, maxHz, bbox } = viewer;
    const request = {
      eventId,
      topic: eventTopic(eventId),
      id: undefined,
      dialect,
      readsDeflated,
      maxHz,
      bbox,
      resumeFrom,
      recipient,
    };
    viewer.subscription = registerSubscription(request, this.#context);
    viewer.replica = this;
    this.viewers.add(viewer);
    return true;
  }

  dismiss(viewer: ModelViewer): void {
    if (viewer.subscription !== undefined) this.registry.unregister(viewer.subscription);
    this.viewers.delete(viewer);
    viewer.disconnect();
  }

  changeView(viewer: ModelViewer, maxHz: number, bbox: Bbox | undefined): void {
    if (viewer.subscription === undefined) return;
    viewer.maxHz = maxHz;
    viewer.bbox = bbox;
    changeView(viewer.subscription, { maxHz, bbox: bbox ?? null }, this.#context);
  }
}

const nowMs = (): number => 1000;
const ignore = (): void => undefined;
