import type { Bbox } from '@app/shared/messages';
import type { LivePosition } from './server-message.ts';

/** Which part of an event a client wants to see, and how often. */
export interface View {
  /** 0.5 to 20; the server takes its highest rate that is not above it. */
  readonly maxHz?: number | undefined;
  /** `[west, south, east, north]` in degrees, west above east across the antimeridian; null is everything. */
  readonly bbox?: Bbox | null | undefined;
}

/** What has changed in a topic: devices with a new position, and devices that are no longer shown. */
export interface Change {
  readonly topic: string;
  readonly positions: readonly LivePosition[];
  readonly removed: readonly string[];
}

/** Where to go on after a connection was lost. Both are the server's, opaque, and go together. */
export interface ResumePoint {
  readonly cursor: string;
  readonly epoch: string;
}

/**
 * One event: what is held of it, and how the subscription stands.
 *
 * `wanted`: to be asked for, at once or at `retryAtMs`; `asked`: without a reply yet; `subscribed`; `ended`: refused or
 * withdrawn for good.
 */
export class Topic {
  readonly name: string;
  status: 'wanted' | 'asked' | 'subscribed' | 'ended' = 'wanted';
  /** By the machine's clock; Infinity if there is nothing to wait for. */
  retryAtMs = Infinity;
  failures = 0;
  /** The view that the server was last told for this topic. */
  toldView: View | undefined;
  readonly #held = new Map<string, LivePosition>();
  #epoch: string | undefined;
  #cursor: string | undefined;
  /** Updates of the box that the server has not answered: cursors that come meanwhile may be of the box before. */
  #boxesInFlight = 0;
  /** Whether a cursor covers what is held. Between `recovered:false` and a snapshot's last part none does. */
  #isWhole = false;

  constructor(name: string) {
    this.name = name;
  }

  get held(): ReadonlyMap<string, LivePosition> {
    return this.#held;
  }

  get resumePoint(): ResumePoint | undefined {
    const cursor = this.#cursor;
    const epoch = this.#epoch;
    return cursor === undefined || epoch === undefined ? undefined : { cursor, epoch };
  }

  noteSubscribed(epoch: string | undefined, isRecovered: boolean): void {
    this.status = 'subscribed';
    this.failures = 0;
    this.#boxesInFlight = 0;
    this.#epoch = epoch;
    if (isRecovered) this.#isWhole = true;
    else this.expectSnapshot();
  }

  /** What is held stays until part 0 is there; but a resume from here would leave the gap open. */
  expectSnapshot(): void {
    this.#cursor = undefined;
    this.#isWhole = false;
  }

  /** The cursor held is of other devices than the event has now. The flush that said so ends with a new one. */
  voidCursor(): void {
    this.#cursor = undefined;
  }

  /** Another box is asked for: what the old one hid will be forgotten, and a cursor of the old one does not say so. */
  askForBox(): void {
    this.#boxesInFlight += 1;
    this.voidCursor();
  }

  noteBoxAnswered(): void {
    this.#boxesInFlight = Math.max(0, this.#boxesInFlight - 1);
  }

  noteCursor(cursor: string | undefined): void {
    if (this.#isWhole && this.#boxesInFlight === 0 && cursor !== undefined) this.#cursor = cursor;
  }

  /** @param part 0 replaces all that is held. */
  applySnapshot(part: unknown, positions: readonly LivePosition[], isLast: boolean): Change {
    const before = part === 0 ? [...this.#held.keys()] : [];
    if (part === 0) {
      this.expectSnapshot();
      this.#held.clear();
    }
    const change = this.applyPositions(positions);
    if (isLast) this.#isWhole = true;
    return { ...change, removed: before.filter((deviceId) => !this.#held.has(deviceId)) };
  }

  /** Takes what is not older than what is held: a device never moves backwards in time. */
  applyPositions(positions: readonly LivePosition[]): Change {
    const taken = positions.filter((position) => {
      const held = this.#held.get(position.deviceId);
      if (held !== undefined && held.ts > position.ts) return false;
      this.#held.set(position.deviceId, position);
      return true;
    });
    return { topic: this.name, positions: taken, removed: [] };
  }

  /**
   * Forgets devices that left the event or the bbox. The next row of a forgotten one is taken whatever its age: that is
   * how a fix found faulty is replaced by the one before it.
   */
  forget(deviceIds: Iterable<string>): Change {
    return {
      topic: this.name,
      positions: [],
      removed: [...deviceIds].filter((deviceId) => this.#held.delete(deviceId)),
    };
  }
}
