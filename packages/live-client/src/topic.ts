import type { Bbox } from '@app/shared/messages';
import type { LivePosition } from './server-message.ts';
import { TopicState } from './topic-state.ts';

/** Which part of an event is shown, and how often it is updated. */
export interface View {
  /** 0.5 to 20; the server uses its highest rate not above it. */
  readonly maxHz?: number | undefined;
  /** `[west, south, east, north]` in degrees, west above east across the antimeridian; null for the whole event. */
  readonly bbox?: Bbox | null | undefined;
}

/** Changes in a topic: new positions, and ids of devices that are no longer shown. */
export interface Change {
  readonly topic: string;
  readonly positions: readonly LivePosition[];
  readonly removed: readonly string[];
}

/** Where to resume after a connection is lost. Opaque values from the server. */
export interface ResumePoint {
  readonly cursor: string;
  readonly epoch: string;
}

/** The positions of one event and the state of its subscription. */
export class Topic extends TopicState {
  /** The last view sent to the server for this topic. */
  sentView: View | undefined;
  readonly #positions = new Map<string, LivePosition>();
  #epoch: string | undefined;
  #cursor: string | undefined;
  /** Box updates without a reply yet: until it arrives, cursors may be for the previous box. */
  #pendingBoxUpdates = 0;
  /** False between `recovered: false` and a snapshot's last part, when no cursor covers the positions. */
  #isComplete = false;

  get positions(): ReadonlyMap<string, LivePosition> {
    return this.#positions;
  }

  get resumePoint(): ResumePoint | undefined {
    const cursor = this.#cursor;
    const epoch = this.#epoch;
    return cursor === undefined || epoch === undefined ? undefined : { cursor, epoch };
  }

  onSubscribed(epoch: string | undefined, isRecovered: boolean): void {
    this.status = 'subscribed';
    this.failures = 0;
    this.#pendingBoxUpdates = 0;
    this.#epoch = epoch;
    if (isRecovered) this.#isComplete = true;
    else this.expectSnapshot();
  }

  /** Positions are kept until part 0 arrives, but resuming before the last part would leave a gap. */
  expectSnapshot(): void {
    this.#cursor = undefined;
    this.#isComplete = false;
  }

  /** Called if the event's devices have changed. The flush with that message ends with a new cursor. */
  invalidateCursor(): void {
    this.#cursor = undefined;
  }

  /** Called if another box is requested: a cursor for the previous box does not cover devices hidden by it. */
  onBoxRequested(): void {
    this.#pendingBoxUpdates += 1;
    this.invalidateCursor();
  }

  onBoxConfirmed(): void {
    this.#pendingBoxUpdates = Math.max(0, this.#pendingBoxUpdates - 1);
  }

  setCursor(cursor: string | undefined): void {
    if (this.#isComplete && this.#pendingBoxUpdates === 0 && cursor !== undefined) this.#cursor = cursor;
  }

  /** @param part 0 replaces all positions. */
  applySnapshot(part: unknown, positions: readonly LivePosition[], isLast: boolean): Change {
    const previousIds = part === 0 ? [...this.#positions.keys()] : [];
    if (part === 0) {
      this.expectSnapshot();
      this.#positions.clear();
    }
    const change = this.applyPositions(positions);
    if (isLast) this.#isComplete = true;
    return { ...change, removed: previousIds.filter((deviceId) => !this.#positions.has(deviceId)) };
  }

  /** Applies positions that are not older than the current ones: a device never goes back in time. */
  applyPositions(positions: readonly LivePosition[]): Change {
    const applied = positions.filter((position) => {
      const current = this.#positions.get(position.deviceId);
      if (current !== undefined && current.ts > position.ts) return false;
      this.#positions.set(position.deviceId, position);
      return true;
    });
    return { topic: this.name, positions: applied, removed: [] };
  }

  /**
   * Removes devices that left the event or the box. The next position of a removed device is applied whatever its time:
   * this is how a faulty fix is replaced by the one before it.
   */
  removeDevices(deviceIds: Iterable<string>): Change {
    return {
      topic: this.name,
      positions: [],
      removed: [...deviceIds].filter((deviceId) => this.#positions.delete(deviceId)),
    };
  }
}
