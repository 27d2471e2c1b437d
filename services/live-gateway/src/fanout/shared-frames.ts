import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import { encodePositions } from '../protocol/batched-dialect.ts';
import { encodePlainPosition } from '../protocol/plain-dialect.ts';
import { encodeRowOnce } from './device-index.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';
import type { DeviceSet } from './device-set.ts';

/** A frame serialised once for all live subscriptions of a group, and the devices whose positions it contains. */
export interface SharedFrame {
  readonly payload: Uint8Array;
  readonly indexes: readonly number[];
}

/** A device with a fix recent enough to be sent, whatever the boxes of the clients. */
export interface RecentDevice {
  readonly index: number;
  readonly indexed: IndexedDevice;
  readonly fix: LatestFix;
}

export function recentDevices(
  changed: DeviceSet,
  devices: DeviceIndex,
  latest: LatestFixes,
  nowMs: number,
): readonly RecentDevice[] {
  const recent: RecentDevice[] = [];
  for (let index = changed.next(0); index >= 0; index = changed.next(index + 1)) {
    const indexed = devices.at(index);
    const fix = indexed?.held.fix;
    if (indexed !== undefined && fix !== undefined && latest.isRecent(fix, nowMs))
      recent.push({ index, indexed, fix });
  }
  return recent;
}

/**
 * Packs rows of the batched dialect into as few frames as possible; the last one has the cursor.
 *
 * @param needsCursor control frames have invalidated the clients' cursors: without rows, one empty frame is made.
 */
export function packRows(
  topic: string,
  recent: readonly RecentDevice[],
  cursor: string | undefined,
  needsCursor: boolean,
  rowBytes: number,
): readonly SharedFrame[] {
  const packs: { rows: string[]; indexes: number[] }[] = [];
  let bytesLeft = 0;
  for (const { index, indexed, fix } of recent) {
    const row = encodeRowOnce(indexed, fix);
    if (row.length + 1 > bytesLeft) {
      packs.push({ rows: [], indexes: [] });
      bytesLeft = rowBytes;
    }
    bytesLeft -= row.length + 1;
    packs.at(-1)?.rows.push(row);
    packs.at(-1)?.indexes.push(index);
  }
  if (packs.length === 0 && needsCursor) packs.push({ rows: [], indexes: [] });
  return packs.map(({ rows, indexes }, n) => ({
    payload: Buffer.from(encodePositions(topic, rows, n === packs.length - 1 ? cursor : undefined), 'latin1'),
    indexes,
  }));
}

/** Frames of the plain dialect, one per position. */
export function packPlain(topic: string, recent: readonly RecentDevice[]): readonly SharedFrame[] {
  return recent.map(({ index, fix }) => ({
    payload: Buffer.from(encodePlainPosition(topic, fix), 'latin1'),
    indexes: [index],
  }));
}
