import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import { encodePositions, encodeRow } from '../protocol/batched-dialect.ts';
import { encodePlainPosition } from '../protocol/plain-dialect.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';
import type { DeviceSet } from './device-set.ts';

/** A frame for every live client, serialised once, and the devices in it. */
export interface SharedFrame {
  readonly bytes: Uint8Array;
  readonly indexes: readonly number[];
}

/** A device with a position that may be shown. */
export interface ShownDevice {
  readonly index: number;
  readonly indexed: IndexedDevice;
  readonly fix: LatestFix;
}

/** The devices of the set with a position that may be shown. */
export function shownOf(
  set: DeviceSet,
  devices: DeviceIndex,
  latest: LatestFixes,
  nowMs: number,
): readonly ShownDevice[] {
  const shown: ShownDevice[] = [];
  for (let index = set.next(0); index >= 0; index = set.next(index + 1)) {
    const indexed = devices.at(index);
    const fix = indexed?.held.fix;
    if (indexed !== undefined && fix !== undefined && latest.isShown(fix, nowMs)) {
      shown.push({ index, indexed, fix });
    }
  }
  return shown;
}

/**
 * The batched dialect: the rows in as few frames as fit below 16 KiB, with the cursor in the last one.
 *
 * @param hasControlFrames whether the clients' cursors are invalid, so that they need a new one even without rows.
 */
export function packRows(
  topic: string,
  shown: readonly ShownDevice[],
  cursor: string | undefined,
  hasControlFrames: boolean,
  rowBytes: number,
): readonly SharedFrame[] {
  const packs: { rows: string[]; indexes: number[] }[] = [];
  let bytesLeft = 0;
  for (const { index, indexed, fix } of shown) {
    const row = encodeRow(indexed, fix);
    if (row.length + 1 > bytesLeft) {
      packs.push({ rows: [], indexes: [] });
      bytesLeft = rowBytes;
    }
    bytesLeft -= row.length + 1;
    packs.at(-1)?.rows.push(row);
    packs.at(-1)?.indexes.push(index);
  }
  if (packs.length === 0 && hasControlFrames) packs.push({ rows: [], indexes: [] });
  return packs.map(({ rows, indexes }, n) => ({
    bytes: Buffer.from(encodePositions(topic, rows, n === packs.length - 1 ? cursor : undefined), 'latin1'),
    indexes,
  }));
}

/** The plain dialect: one frame per position. */
export function packPlain(topic: string, shown: readonly ShownDevice[]): readonly SharedFrame[] {
  return shown.map(({ index, fix }) => ({
    bytes: Buffer.from(encodePlainPosition(topic, fix), 'latin1'),
    indexes: [index],
  }));
}
