/** Maximum devices remembered as reported. Beyond it, devices are counted but no longer reported. */
const maxReported = 10_000;

/** Counts fixes of unassigned devices and reports each device once. */
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
    if (this.#reported.has(imei) || this.#reported.size >= maxReported) return;
    this.#reported.add(imei);
    this.#report(imei);
  }

  /** Forgets devices that are now assigned, so that they are reported again if they become unassigned. */
  forget(isAssigned: (imei: string) => boolean): void {
    for (const imei of this.#reported) if (isAssigned(imei)) this.#reported.delete(imei);
  }
}
