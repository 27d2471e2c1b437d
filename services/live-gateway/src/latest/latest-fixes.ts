/** Identifies the stream entry that a fix came from. */
export interface EntryRef {
  /** Index of the stream in `REDIS_TELEMETRY_STREAM`. */
  readonly stream: number;
  readonly id: string;
}

/** The newest fix of a device without a quality flag that is not marked faulty; a map shows it. */
export interface LatestFix {
  /** IMEI. */
  readonly deviceId: string;
  readonly fixAtMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly speedKmh: number;
  /** When its entry was added to the stream; undefined if its id does not tell, or if it was read from Postgres. */
  readonly arrivedAtMs: number | undefined;
  /** Its entry; undefined if it was read from Postgres. */
  readonly entryRef: EntryRef | undefined;
}

/** The latest fix of one device. The object stays the same for as long as the device is assigned. */
export interface HeldFix {
  readonly fix: LatestFix | undefined;
  /**
   * Fix time of the newest fix marked faulty, if it is newer than every good one in Postgres. A gateway that has not
   * refreshed yet may still show it.
   */
  readonly faultyFixAtMs: number | undefined;
  /** Whether the device has been compared with Postgres. Until then Postgres may hold a fix that this process does not know. */
  readonly isHydrated: boolean;
}

type Writable = { -readonly [Field in keyof HeldFix]: HeldFix[Field] };

/** Maximum unassigned devices whose latest fix is kept; the least recently updated is evicted. */
const maxUnassigned = 10_000;

/**
 * The latest fix of every assigned device. A device's fix only moves forward in fix time, in whatever order fixes come
 * from the stream and from Postgres. The exception is `retract`, when an operator has marked the current fix faulty.
 *
 * The latest fixes of unassigned devices are kept too, up to a limit: a device may be assigned before the processor has
 * stored a fix that the cursor already covers.
 */
export class LatestFixes {
  readonly #held = new Map<string, Writable>();
  readonly #unassigned = new Map<string, Writable>();
  readonly #maxFixAgeMs: number;

  /** @param maxFixAgeMs older fixes are kept but not shown, so that a tracker's last private trip stays private. */
  constructor(maxFixAgeMs: number) {
    this.#maxFixAgeMs = maxFixAgeMs;
  }

  /** The device's entry, which later calls update in place. */
  hold(deviceId: string): HeldFix {
    return this.#hold(deviceId);
  }

  /** Replaces the device's fix if this one is newer. @returns whether it was. */
  offer(fix: LatestFix): boolean {
    const held = this.#hold(fix.deviceId);
    if (held.fix === undefined || fix.fixAtMs > held.fix.fixAtMs) {
      held.fix = fix;
      return true;
    }
    // Postgres had the fix before this process read its entry: take over the reference to the entry.
    if (held.fix.entryRef === undefined && isSameFix(held.fix, fix)) held.fix = fix;
    return false;
  }

  /** Sets the fix time of the newest fix that is marked faulty and newer than all good ones, if there is one. */
  noteFaulty(deviceId: string, fixAtMs: number | undefined): void {
    this.#hold(deviceId).faultyFixAtMs = fixAtMs;
  }

  /**
   * Replaces a faulty fix by the newest good one before it, or by none. Does nothing if the faulty fix is no longer the
   * current one: a newer one may have come during the query.
   */
  retract(deviceId: string, faultyFixAtMs: number, replacement: LatestFix | undefined): boolean {
    const held = this.#held.get(deviceId);
    if (held?.fix?.fixAtMs !== faultyFixAtMs) return false;
    held.fix = replacement;
    return true;
  }

  /** Whether the fix is recent enough to be sent to clients. */
  isRecent(fix: LatestFix, nowMs: number): boolean {
    return nowMs - fix.fixAtMs <= this.#maxFixAgeMs;
  }

  /** Removes the fixes that are too old to be shown; returns their devices. */
  expire(nowMs: number): readonly string[] {
    const expired: string[] = [];
    for (const [deviceId, held] of this.#held) {
      if (held.fix === undefined || this.isRecent(held.fix, nowMs)) continue;
      held.fix = undefined;
      expired.push(deviceId);
    }
    return expired;
  }

  /** Like `offer`, for an unassigned device. */
  offerUnassigned(fix: LatestFix): void {
    const held = this.#unassigned.get(fix.deviceId) ?? newHeld();
    if (held.fix !== undefined && fix.fixAtMs <= held.fix.fixAtMs) return;
    held.fix = fix;
    this.#unassigned.delete(fix.deviceId);
    this.#unassigned.set(fix.deviceId, held);
    if (this.#unassigned.size <= maxUnassigned) return;
    for (const deviceId of this.#unassigned.keys()) {
      this.#unassigned.delete(deviceId);
      return;
    }
  }

  /** Moves devices that are no longer assigned to the unassigned ones. */
  keepOnly(isAssigned: (deviceId: string) => boolean): void {
    for (const [deviceId, { fix }] of this.#held) {
      if (isAssigned(deviceId)) continue;
      this.#held.delete(deviceId);
      if (fix !== undefined) this.offerUnassigned(fix);
    }
  }

  /** These devices have been compared with Postgres. */
  markHydrated(deviceIds: Iterable<string>): void {
    for (const deviceId of deviceIds) this.#hold(deviceId).isHydrated = true;
  }

  #hold(deviceId: string): Writable {
    const known = this.#held.get(deviceId);
    if (known !== undefined) return known;
    const held = this.#unassigned.get(deviceId) ?? newHeld();
    this.#unassigned.delete(deviceId);
    this.#held.set(deviceId, held);
    return held;
  }
}

function isSameFix(a: LatestFix, b: LatestFix): boolean {
  return (
    a.fixAtMs === b.fixAtMs &&
    a.latitude === b.latitude &&
    a.longitude === b.longitude &&
    a.altitudeM === b.altitudeM &&
    a.courseDeg === b.courseDeg &&
    a.speedKmh === b.speedKmh
  );
}

function newHeld(): Writable {
  return { fix: undefined, faultyFixAtMs: undefined, isHydrated: false };
}
