import { createHash } from 'node:crypto';
import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix, LatestFix } from '../latest/latest-fixes.ts';

/** A device's place in the roster of an event. */
export interface IndexedDevice {
  readonly device: Device;
  readonly held: HeldFix;
  /** The fix whose text is kept, and the text: a fix never changes, so each is written down once. */
  writtenFix: LatestFix | undefined;
  written: string;
}

/** The devices of one event that somebody watches, each at a small number of its own, which a `DeviceSet` is made of. */
export class DeviceIndex {
  readonly #seats: (IndexedDevice | undefined)[] = [];
  readonly #seatByImei = new Map<string, number>();
  readonly #hold: (imei: string) => HeldFix;
  #hash: string | undefined;
  #isHydrated = false;

  constructor(devices: Iterable<Device>, hold: (imei: string) => HeldFix) {
    this.#hold = hold;
    for (const device of devices) this.#add(device);
  }

  get size(): number {
    return this.#seatByImei.size;
  }

  /** The same in every process that knows the same devices to be in the event. */
  get hash(): string {
    this.#hash ??= hashOf(this.#seats.flatMap((seat) => seat?.device.id ?? []));
    return this.#hash;
  }

  /** Whether Postgres has been asked about every device: only then is what is held of them all that there is. */
  get isHydrated(): boolean {
    this.#isHydrated ||= this.#seats.every((seat) => seat?.held.isHydrated !== false);
    return this.#isHydrated;
  }

  at(seat: number): IndexedDevice | undefined {
    return this.#seats[seat];
  }

  indexOf(imei: string): number | undefined {
    return this.#seatByImei.get(imei);
  }

  indexes(): Iterable<number> {
    return this.#seatByImei.values();
  }

  /**
   * Those that leave make room first, and those that come may get their seats.
   *
   * @param onFreed hears of each seat before it is given away.
   * @returns the seats of the devices that came.
   */
  change({ added, removed }: DeviceChange, onFreed: (seat: number) => void): readonly number[] {
    this.#hash = undefined;
    this.#isHydrated = false;
    for (const { imei } of removed) {
      const seat = this.#seatByImei.get(imei);
      if (seat === undefined) continue;
      this.#seatByImei.delete(imei);
      this.#seats[seat] = undefined;
      onFreed(seat);
    }
    return added.map((device) => this.#add(device));
  }

  #add(device: Device): number {
    const free = this.#seatByImei.size < this.#seats.length ? this.#seats.indexOf(undefined) : -1;
    const seat = free === -1 ? this.#seats.length : free;
    this.#seats[seat] = { device, held: this.#hold(device.imei), writtenFix: undefined, written: '' };
    this.#seatByImei.set(device.imei, seat);
    return seat;
  }
}

function hashOf(ids: readonly string[]): string {
  return createHash('sha256').update(ids.toSorted().join()).digest('base64url').slice(0, 12);
}
