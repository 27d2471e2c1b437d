import { createHash } from 'node:crypto';
import type { Device } from '../assignments/assignments.ts';
import type { DeviceChange } from '../assignments/diff-assignments.ts';
import type { HeldFix, LatestFix } from '../latest/latest-fixes.ts';
import { encodeRow } from '../protocol/batched-dialect.ts';

export interface IndexedDevice {
  readonly device: Device;
  readonly held: HeldFix;
  /** The fix that `encodedRow` encodes, see `encodeRowOnce`. */
  encodedFix: LatestFix | undefined;
  encodedRow: string;
}

/**
 * The device's row in the batched dialect. A fix is immutable, so its row is encoded once, whatever the number of
 * groups and clients. Cached in the object, because a look-up in a `WeakMap` for every row would be slower.
 */
export function encodeRowOnce(indexed: IndexedDevice, fix: LatestFix): string {
  if (indexed.encodedFix === fix) return indexed.encodedRow;
  indexed.encodedFix = fix;
  indexed.encodedRow = encodeRow(indexed.device.id, fix);
  return indexed.encodedRow;
}

/** The devices of one event by small numbers, so that a `DeviceSet` of them is small. */
export class DeviceIndex {
  readonly #devices: (IndexedDevice | undefined)[] = [];
  readonly #indexByImei = new Map<string, number>();
  readonly #hold: (imei: string) => HeldFix;
  #hash: string | undefined;
  #isHydrated = false;

  /** @param hold returns a device's latest fix, see `LatestFixes.hold`. */
  constructor(devices: Iterable<Device>, hold: (imei: string) => HeldFix) {
    this.#hold = hold;
    for (const device of devices) this.#add(device);
  }

  get size(): number {
    return this.#indexByImei.size;
  }

  /** A hash of the device ids; equal in all gateways that have the same devices in the event. */
  get hash(): string {
    this.#hash ??= hashIds(this.#devices.flatMap((indexed) => indexed?.device.id ?? []));
    return this.#hash;
  }

  /** Whether every device has been compared with Postgres. */
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

  *ids(): Generator<string, void, void> {
    for (const indexed of this.#devices) if (indexed !== undefined) yield indexed.device.id;
  }

  /**
   * Removes, then adds devices. An added device may get a freed index.
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
    this.#devices[index] = {
      device,
      held: this.#hold(device.imei),
      encodedFix: undefined,
      encodedRow: '',
    };
    this.#indexByImei.set(device.imei, index);
    return index;
  }
}

function hashIds(ids: readonly string[]): string {
  return createHash('sha256').update(ids.toSorted().join()).digest('base64url').slice(0, 12);
}
