import {
  addFix,
  addStored,
  foldRecent,
  observed,
  startTrack,
  type DeviceTrack,
} from '@app/race/device-track';
import { type EventWindow, isDuring } from '@app/race/event-window';
import { isGood, matters } from '@app/race/fix';
import { openObservations, type DeviceObserved } from '@app/race/observe';
import type { PreparedCourse } from '@app/race/prepare-course';
import { compareEntryIds } from '@app/shared/entry';
import type { StoredFix } from '../stored-fixes.ts';
import { fixOfStored, type StoredPosition } from './observe-positions.ts';
import type { RecordArrivals } from './record-arrivals.ts';

/** A fix that is late by less than this is folded again from a checkpoint. */
const windowMs = 60_000;
/** A late fix is not folded again with more than these: after an upload that begins with the newest they are hours. */
const maxRecent = 600;
/** A device is observed again at most once in this time. */
const observeIntervalMs = 1000;

/** Why a device is observed again, or an entry judged again; kept in the history of results. */
export type Reason =
  | 'new fixes'
  | 'late or repeated fixes'
  | 'fixes that Redis refused, or a new assignment'
  | 'an SOS of a wrong clock'
  | 'a fix was marked or unmarked as faulty'
  | 'the course changed'
  | 'assignments changed'
  | 'entry or decisions changed'
  | 'time passed'
  | 'the evaluation started'
  | 'evaluated on request'
  | 'stored fixes were missed';

interface Observed {
  readonly track: DeviceTrack;
  /** What was appended up to this id of the event's stream is in the track. */
  readonly coveredId: string;
  readonly observedAtMs: number;
  /** Fix times after the checkpoint that are marked as faulty; announcements of these fixes do not say so. */
  readonly faultyAtMs: ReadonlySet<number>;
}

interface Dirty {
  readonly reason: Reason;
  readonly sinceMs: number;
}

/** What the devices of an event observed on one course. */
export class DeviceTracks {
  readonly #course: PreparedCourse;
  readonly #window: EventWindow;
  readonly #arrivals: RecordArrivals;
  readonly #tracks = new Map<string, Observed>();
  readonly #dirty = new Map<string, Dirty>();
  readonly #changed = new Map<string, Set<Reason>>();
  #deviceIds: ReadonlySet<string> = new Set();

  constructor(course: PreparedCourse, window: EventWindow, arrivals: RecordArrivals) {
    this.#course = course;
    this.#window = window;
    this.#arrivals = arrivals;
  }

  /** Devices that are new are dirty; of those that are gone nothing is kept. */
  setDevices(deviceIds: ReadonlySet<string>, reason: Reason, nowMs: number): void {
    this.#deviceIds = deviceIds;
    for (const map of [this.#tracks, this.#dirty, this.#changed]) {
      for (const deviceId of map.keys()) if (!deviceIds.has(deviceId)) map.delete(deviceId);
    }
    for (const deviceId of deviceIds)
      if (!this.#tracks.has(deviceId)) this.markDirty(deviceId, reason, nowMs);
  }

  markDirty(deviceId: string, reason: Reason, nowMs: number): void {
    if (!this.#deviceIds.has(deviceId)) return;
    this.#dirty.set(deviceId, { reason, sinceMs: this.#dirty.get(deviceId)?.sinceMs ?? nowMs });
  }

  markAllDirty(reason: Reason, nowMs: number): void {
    for (const deviceId of this.#deviceIds) this.markDirty(deviceId, reason, nowMs);
  }

  isDirty(deviceId: string): boolean {
    return this.#dirty.has(deviceId);
  }

  get dirtyCount(): number {
    return this.#dirty.size;
  }

  /** Since when a device is dirty, the longest one; undefined if none is. */
  get dirtySinceMs(): number | undefined {
    return this.#dirty.size === 0
      ? undefined
      : Math.min(...[...this.#dirty.values()].map(({ sinceMs }) => sinceMs));
  }

  /** Whether every device has been observed on this course: results of an event are judged only then. */
  get isComplete(): boolean {
    return this.#tracks.size === this.#deviceIds.size;
  }

  /** The device that is to be observed next, of those that may be already; one without a track first. */
  nextDirty(
    nowMs: number,
    except: ReadonlySet<string>,
  ): { readonly deviceId: string; readonly reason: Reason } | undefined {
    for (const [deviceId, { reason }] of this.#dirty) {
      if (!this.#tracks.has(deviceId) && !except.has(deviceId)) return { deviceId, reason };
    }
    for (const [deviceId, { reason }] of this.#dirty) {
      const observedAtMs = this.#tracks.get(deviceId)?.observedAtMs ?? -Infinity;
      if (nowMs - observedAtMs >= observeIntervalMs && !except.has(deviceId)) return { deviceId, reason };
    }
    return undefined;
  }

  /** Adds an announced fix. What does not fit makes the device dirty. */
  add(entryId: string, stored: StoredFix, nowMs: number): void {
    const [deviceId, fixAtMs] = stored;
    this.#arrivals.noteStored(entryId, stored);
    const known = this.#tracks.get(deviceId);
    // Without a track it is dirty, and read from `positions`.
    if (!known || compareEntryIds(entryId, known.coveredId) <= 0) return;
    const fix = fixOfStored(stored);
    if (!isDuring(this.#window, fix)) {
      // It counts from when it was stored, which `positions` says.
      if (fix.priority === 2) this.markDirty(deviceId, 'an SOS of a wrong clock', nowMs);
      return;
    }
    if (!matters(fix) || known.faultyAtMs.has(fixAtMs)) return;
    const { track } = known;
    const isLate = fixAtMs <= track.current.lastFixAtMs;
    if (isLate && track.recent.some((one) => one.fixAtMs === fixAtMs)) return;
    // A repeated one may be stored with other content: only `positions` says which.
    const isRepeated = stored[10] === 1;
    if (isRepeated || (isLate && track.recent.length > maxRecent)) {
      this.markDirty(deviceId, 'late or repeated fixes', nowMs);
      return;
    }
    const added = addFix(this.#course, track, fix, windowMs);
    if (added === 'added') this.#noteChange(deviceId, 'new fixes');
    if (added === 'too_late') this.markDirty(deviceId, 'late or repeated fixes', nowMs);
  }

  /** Replaces a device's track by one of all its stored fixes, in fix-time order. */
  async observe(
    deviceId: string,
    pages: AsyncIterable<readonly StoredPosition[]>,
    coveredId: string,
    breathe: () => Promise<void>,
  ): Promise<void> {
    const dirty = this.#dirty.get(deviceId);
    const track = startTrack(this.#course);
    const faultyAtMs: number[] = [];
    for await (const page of pages) {
      for (const [at, { fix, storedAtMs }] of page.entries()) {
        this.#arrivals.note(deviceId, storedAtMs, isGood(fix));
        if (fix.isFaulty) faultyAtMs.push(fix.fixAtMs);
        addStored(this.#course, track, fix, windowMs);
        if (at % 256 === 255) await breathe();
      }
    }
    foldRecent(this.#course, track);
    this.#tracks.set(deviceId, {
      track,
      coveredId,
      observedAtMs: performance.now(),
      // Older ones are too late, and read from `positions` anyway.
      faultyAtMs: new Set(faultyAtMs.filter((atMs) => atMs > track.checkpoint.lastFixAtMs)),
    });
    this.#dirty.delete(deviceId);
    this.#noteChange(deviceId, dirty?.reason ?? 'new fixes');
  }

  observedOf(deviceIds: Iterable<string>): ReadonlyMap<string, DeviceObserved> {
    const found = new Map<string, DeviceObserved>();
    for (const deviceId of deviceIds) {
      const known = this.#tracks.get(deviceId);
      if (known) found.set(deviceId, observed(this.#course, known.track));
    }
    return found;
  }

  /** Whether the newest fixes of a device show a stop. */
  isStanding(deviceId: string): boolean {
    const track = this.#tracks.get(deviceId)?.track;
    return (
      track !== undefined &&
      openObservations(this.#course, track.current).observations.some(
        (one) => one.kind === 'standing' && one.isOpen,
      )
    );
  }

  /** Fix time of the newest good fix of all devices. */
  get newestGoodAtMs(): number {
    let newestMs = -Infinity;
    for (const { track } of this.#tracks.values()) {
      newestMs = Math.max(newestMs, track.current.previousGood?.fixAtMs ?? -Infinity);
    }
    return newestMs;
  }

  /** Devices that observed something since the last call, and why. */
  takeChanged(): ReadonlyMap<string, ReadonlySet<Reason>> {
    const changed = new Map(this.#changed);
    this.#changed.clear();
    return changed;
  }

  #noteChange(deviceId: string, reason: Reason): void {
    const reasons = this.#changed.get(deviceId);
    if (reasons) reasons.add(reason);
    else this.#changed.set(deviceId, new Set([reason]));
  }
}
