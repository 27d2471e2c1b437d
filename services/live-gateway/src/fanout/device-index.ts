import { createHash } from 'node:crypto';
import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix, LatestFix } from '../latest/latest-fixes.ts';

/** A device of an event, with its newest fix. */
export interface IndexedDevice {
  readonly device: Device;
  readonly held: HeldFix;
  /** The fix that `row` encodes: a fix never changes, so each is encoded once. */
  encodedFix: LatestFix | undefined;
  row: string;
}

/** The devices of one watched event by small numbers, from which a `DeviceSet` is made. */
export class DeviceIndex {
  readonly #devices: (IndexedDevice | undefined)[] = [];
  readonly #indexByImei = new Map<string, number>();
  readonly #hold: (imei: string) => HeldFix;
  #hash: string | undefined;
  #isHydrated = false;

  constructor(devices: Iterable<Device>, hold: (imei: string) => HeldFix) {
    this.#hold = hold;
    for (const device of devices) this.#add(device);
  }

  get size(): number {
    return this.#indexByImei.size;
  }

  /** Hash of the device ids; equal in every process with the same devices. */
  get hash(): string {
    this.#hash ??= hashOf(this.#devices.flatMap((indexed) => indexed?.device.id ?? []));
    return this.#hash;
  }

  /** Whether Postgres has been queried for every device. */
  get isHydrated(): boolean {
    this.#isHydrated ||= this.#devices.every((indexed) => indexed?.held.isHydrated !== false);
    return this.#isHydrated;
  }

  at(index: number): IndexedDevice | undefined {
    return this.#devices[index];
  }

  indexOf(imei: string): number | undefined {
    return this.#indexByImei.get(imei);
  }

  indexes(): Iterable<number> {
    return this.#indexByImei.values();
  }

  /**
   * Removes devices before it adds others, which may reuse their indexes.
   *
   * @param onFreed called with each freed index before it is reused.
   * @returns the indexes of the added devices.
   */
  change({ added, removed }: DeviceChange, onFreed: (index: number) => void): readonly number[] {
    this.#hash = undefined;
    this.#isHydrated = false;
    for (const { imei } of removed) {
      const index = this.#indexByImei.get(imei);
      if (index === undefined) continue;
      this.#indexByImei.delete(imei);
      this.#devices[index] = undefined;
      onFreed(index);
    }
    return added.map((device) => this.#add(device));
  }

  #add(device: Device): number {
    const free = this.#indexByImei.size < this.#devices.length ? this.#devices.indexOf(undefined) : -1;
    const index = free === -1 ? this.#devices.length : free;
    this.#devices[index] = { device, held: this.#hold(device.imei), encodedFix: undefined, row: '' };
    this.#indexByImei.set(device.imei, index);
    return index;
  }
}

function hashOf(ids: readonly string[]): string {
  return createHash('sha256').update(ids.toSorted().join()).digest('base64url').slice(0, 12);
}
