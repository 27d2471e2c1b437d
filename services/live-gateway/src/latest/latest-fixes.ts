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
}

/**
 * The newest good fix of every assigned device. A device's fix moves only forward in fix time, whatever order the
 * stream and Postgres bring fixes in; the one way back is `retract`, when an operator has found the held fix faulty.
 */
export class LatestFixes {
  readonly #fixes = new Map<string, LatestFix>();
  readonly #hydrated = new Set<string>();
  readonly #maxFixAgeMs: number;

  /** @param maxFixAgeMs an older fix is held but not shown: a tracker's last private trip is nobody's business. */
  constructor(maxFixAgeMs: number) {
    this.#maxFixAgeMs = maxFixAgeMs;
  }

  /** Takes a fix if it is strictly newer than the one held; says whether it was. */
  offer(fix: LatestFix): boolean {
    const held = this.#fixes.get(fix.deviceId);
    if (held !== undefined && fix.fixAtMs <= held.fixAtMs) return false;
    this.#fixes.set(fix.deviceId, fix);
    return true;
  }

  /**
   * Goes back from a faulty fix to the newest good one before it, or to none.
   * Only if the faulty fix is still the one held: a newer one may have come while Postgres was asked.
   */
  retract(deviceId: string, faultyFixAtMs: number, replacement: LatestFix | undefined): boolean {
    if (this.#fixes.get(deviceId)?.fixAtMs !== faultyFixAtMs) return false;
    if (replacement === undefined) this.#fixes.delete(deviceId);
    else this.#fixes.set(deviceId, replacement);
    return true;
  }

  get(deviceId: string): LatestFix | undefined {
    return this.#fixes.get(deviceId);
  }

  /** The fix that a client may see now: the one held, unless it is too old. */
  shown(deviceId: string, nowMs: number): LatestFix | undefined {
    const fix = this.#fixes.get(deviceId);
    return fix !== undefined && nowMs - fix.fixAtMs <= this.#maxFixAgeMs ? fix : undefined;
  }

  /** Forgets the devices that are in no event any more. */
  keepOnly(isAssigned: (deviceId: string) => boolean): void {
    for (const deviceId of this.#fixes.keys()) if (!isAssigned(deviceId)) this.#fixes.delete(deviceId);
    for (const deviceId of this.#hydrated) if (!isAssigned(deviceId)) this.#hydrated.delete(deviceId);
  }

  /** Postgres has been asked for the newest fixes of these devices, and has answered. */
  markHydrated(deviceIds: Iterable<string>): void {
    for (const deviceId of deviceIds) this.#hydrated.add(deviceId);
  }

  /** False as long as an older fix than what the stream has brought may lie unseen in Postgres. */
  isHydrated(deviceId: string): boolean {
    return this.#hydrated.has(deviceId);
  }

  get size(): number {
    return this.#fixes.size;
  }
}
