/** So many IMEIs are remembered as already logged; the log of a fleet of strangers ends there, the counter goes on. */
const maxRemembered = 10_000;

/**
 * Records of devices that are in no event: trackers in a drawer, or an assignment that somebody forgot. Each is
 * counted, the first of each device is reported.
 */
export class UnassignedDevices {
  readonly #reported = new Set<string>();
  readonly #count: () => void;
  readonly #report: (imei: string) => void;

  constructor(options: { readonly count: () => void; readonly report: (imei: string) => void }) {
    this.#count = options.count;
    this.#report = options.report;
  }

  note(imei: string): void {
    this.#count();
    if (this.#reported.has(imei) || this.#reported.size >= maxRemembered) return;
    this.#reported.add(imei);
    this.#report(imei);
  }

  /** A device that gets assigned is no orphan any more; should it become one again, that is news. */
  forget(isAssigned: (imei: string) => boolean): void {
    for (const imei of this.#reported) if (isAssigned(imei)) this.#reported.delete(imei);
  }
}
