/** Where in the feed an entry stands: which of the gateway's streams, and the entry's id there. */
export interface EntryStamp {
  /** The stream's number in `REDIS_TELEMETRY_STREAM`. */
  readonly stream: number;
  readonly id: string;
}

/** The newest good fix of a device: what a marker on the map shows. */
export interface LatestFix {
  /** IMEI. */
  readonly deviceId: string;
  readonly fixAtMs: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  readonly courseDeg: number;
  readonly speedKmh: number;
  /** When it came into the stream, by Redis' clock; undefined if it was read from Postgres. */
  readonly arrivedAtMs: number | undefined;
  /** The entry that brought it; undefined if it was read from Postgres. */
  readonly stamp: EntryStamp | undefined;
}

/** What is held of one device. The object stays the same for as long as the device is in some event. */
export interface HeldFix {
  readonly fix: LatestFix | undefined;
  /**
   * The fix time of the newest fix that was found faulty and is newer than every good one in Postgres, if there is one.
   * Somebody may still be shown it, by a gateway that has not heard yet.
   */
  readonly faultyAtMs: number | undefined;
  /** Whether Postgres has been asked. As long as it has not, an older fix than what the stream has brought may lie there. */
  readonly isHydrated: boolean;
}

type Writable = { -readonly [Field in keyof HeldFix]: HeldFix[Field] };

/** So many devices are remembered that are in no event; of more, those that reported first are forgotten. */
const maxStrangers = 10_000;

/**
 * The newest good fix of every assigned device. A device's fix moves only forward in fix time, whatever order the
 * stream and Postgres bring fixes in; the one way back is `retract`, when an operator has found the held fix faulty.
 *
 * Of a device that is in no event the newest fix is remembered too, up to a bound: it may be assigned before the
 * processor has stored what the stream brought, and a cursor says that all of the stream was applied.
 */
export class LatestFixes {
  readonly #held = new Map<string, Writable>();
  readonly #unassigned = new Map<string, Writable>();
  readonly #maxFixAgeMs: number;

  /** @param maxFixAgeMs an older fix is held but not shown: a tracker's last private trip is nobody's business. */
  constructor(maxFixAgeMs: number) {
    this.#maxFixAgeMs = maxFixAgeMs;
  }

  /** What is held of the device, now and from now on. */
  hold(deviceId: string): HeldFix {
    return this.#hold(deviceId);
  }

  /** Takes a fix if it is strictly newer than the one held; says whether it was. */
  offer(fix: LatestFix): boolean {
    const held = this.#hold(fix.deviceId);
    if (held.fix === undefined || fix.fixAtMs > held.fix.fixAtMs) {
      held.fix = fix;
      return true;
    }
    // Postgres was asked between the processor's write and our read: now the entry is here, and with it the stamp.
    if (held.fix.stamp === undefined && isSameFix(held.fix, fix)) held.fix = fix;
    return false;
  }

  /** Notes which fix Postgres says is faulty and newer than all good ones; undefined if none is. */
  noteFaulty(deviceId: string, fixAtMs: number | undefined): void {
    this.#hold(deviceId).faultyAtMs = fixAtMs;
  }

  /**
   * Goes back from a faulty fix to the newest good one before it, or to none.
   * Only if the faulty fix is still the one held: a newer one may have come while Postgres was asked.
   */
  retract(deviceId: string, faultyFixAtMs: number, replacement: LatestFix | undefined): boolean {
    const held = this.#held.get(deviceId);
    if (held?.fix?.fixAtMs !== faultyFixAtMs) return false;
    held.fix = replacement;
    return true;
  }

  get(deviceId: string): LatestFix | undefined {
    return this.#held.get(deviceId)?.fix;
  }

  /** Whether a client may see the fix now. */
  isShown(fix: LatestFix, nowMs: number): boolean {
    return nowMs - fix.fixAtMs <= this.#maxFixAgeMs;
  }

  /** The fix that a client may see now: the one held, unless it is too old. */
  shown(deviceId: string, nowMs: number): LatestFix | undefined {
    const fix = this.#held.get(deviceId)?.fix;
    return fix !== undefined && this.isShown(fix, nowMs) ? fix : undefined;
  }

  /** Gives up the fixes that have become too old to be shown, and names their devices. */
  expire(nowMs: number): readonly string[] {
    const expired: string[] = [];
    for (const [deviceId, held] of this.#held) {
      if (held.fix === undefined || this.isShown(held.fix, nowMs)) continue;
      held.fix = undefined;
      expired.push(deviceId);
    }
    return expired;
  }

  /** Remembers the fix of a device that is in no event. */
  remember(fix: LatestFix): void {
    const held = this.#unassigned.get(fix.deviceId) ?? newHeld();
    if (held.fix !== undefined && fix.fixAtMs <= held.fix.fixAtMs) return;
    held.fix = fix;
    this.#unassigned.delete(fix.deviceId);
    this.#unassigned.set(fix.deviceId, held);
    if (this.#unassigned.size <= maxStrangers) return;
    for (const deviceId of this.#unassigned.keys()) {
      this.#unassigned.delete(deviceId);
      return;
    }
  }

  /** Lets go of the devices that are in no event any more. */
  keepOnly(isAssigned: (deviceId: string) => boolean): void {
    for (const [deviceId, { fix }] of this.#held) {
      if (isAssigned(deviceId)) continue;
      this.#held.delete(deviceId);
      if (fix !== undefined) this.remember(fix);
    }
  }

  /** Postgres has been asked for the newest fixes of these devices, and has answered. */
  markHydrated(deviceIds: Iterable<string>): void {
    for (const deviceId of deviceIds) this.#hold(deviceId).isHydrated = true;
  }

  isHydrated(deviceId: string): boolean {
    return this.#held.get(deviceId)?.isHydrated === true;
  }

  get size(): number {
    let size = 0;
    for (const held of this.#held.values()) if (held.fix !== undefined) size += 1;
    return size;
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
  return { fix: undefined, faultyAtMs: undefined, isHydrated: false };
}
