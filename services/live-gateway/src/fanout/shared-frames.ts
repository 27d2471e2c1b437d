import type { LatestFix, LatestFixes } from '../latest/latest-fixes.ts';
import { encodePositions, encodeRow } from '../protocol/batched-dialect.ts';
import type { DeviceSet } from './device-set.ts';
import { encodePlainPosition } from '../protocol/plain-dialect.ts';
import type { DeviceIndex, IndexedDevice } from './device-index.ts';

/** A frame that everybody in step gets, serialised once, and the seats whose positions it tells. */
export interface SharedFrame {
  readonly bytes: Uint8Array;
  readonly seats: readonly number[];
}

/** A device with a position that may be shown. */
export interface ShownDevice {
  readonly at: number;
  readonly seat: IndexedDevice;
  readonly fix: LatestFix;
}

/** The devices of the set with a position that may be shown. */
export function shownOf(
  seats: DeviceSet,
  roster: DeviceIndex,
  latest: LatestFixes,
  nowMs: number,
): readonly ShownDevice[] {
  const shown: ShownDevice[] = [];
  for (let at = seats.next(0); at >= 0; at = seats.next(at + 1)) {
    const seat = roster.at(at);
    const fix = seat?.held.fix;
    if (seat !== undefined && fix !== undefined && latest.isShown(fix, nowMs)) shown.push({ at, seat, fix });
  }
  return shown;
}

/**
 * The batched dialect: rows in as few frames below 16 KiB as they fit into, the cursor in the last one.
 *
 * @param hasNews the clients' cursors are void: they get a new one even without rows.
 */
export function packRows(
  topic: string,
  shown: readonly ShownDevice[],
  cursor: string | undefined,
  hasNews: boolean,
  rowBytes: number,
): readonly SharedFrame[] {
  const packs: { rows: string[]; seats: number[] }[] = [];
  let room = 0;
  for (const { at, seat, fix } of shown) {
    const row = encodeRow(seat, fix);
    if (row.length + 1 > room) {
      packs.push({ rows: [], seats: [] });
      room = rowBytes;
    }
    room -= row.length + 1;
    packs.at(-1)?.rows.push(row);
    packs.at(-1)?.seats.push(at);
  }
  if (packs.length === 0 && hasNews) packs.push({ rows: [], seats: [] });
  return packs.map(({ rows, seats }, at) => ({
    bytes: Buffer.from(encodePositions(topic, rows, at === packs.length - 1 ? cursor : undefined), 'latin1'),
    seats,
  }));
}

/** The plain dialect: a frame a position. */
export function packPlain(topic: string, shown: readonly ShownDevice[]): readonly SharedFrame[] {
  return shown.map(({ at, fix }) => ({
    bytes: Buffer.from(encodePlainPosition(topic, fix), 'latin1'),
    seats: [at],
  }));
}
