import { columns } from '@app/shared/protocol';
import type { SnapshotPosition } from '@app/shared/messages';

/**
 * A device's newest position. `lat`, `lon` in degrees, `ts` the fix time in epoch ms, `speed` in km/h, `course` in
 * degrees from north, `altitude` in metres; unknown values are omitted. `deviceId` is Directus' id of the device.
 */
export type LivePosition = SnapshotPosition;

/** A server message with the fields used here, which are not validated yet. */
export type ServerMessage = {
  readonly [
    Field in
      | 'type'
      | 'id'
      | 'topic'
      | 'columns'
      | 'epoch'
      | 'recovered'
      | 'part'
      | 'rows'
      | 'last'
      | 'cursor'
      | 'removed'
      | 'reset'
      | 'set'
      | 'revision'
      | 'key'
      | 'devices'
      | 'reason'
      | 'afterMs'
      | 'connection'
      | 'ticket'
      | 'tickets'
      | 'code'
      | 'message'
      | 'temporary'
      | 'retryAfterMs'
  ]?: unknown;
};

/** Parses a frame; undefined if it is not a JSON object. */
export function parseServerMessage(data: string): ServerMessage | undefined {
  try {
    return asObject(JSON.parse(data));
  } catch {
    return undefined;
  }
}

/** Undefined if it is not a JSON object. */
export function asObject(json: unknown): ServerMessage | undefined {
  return typeof json === 'object' && json !== null ? json : undefined;
}

/** Indexes of our columns in a row: a later server may order them differently or have more. */
export type ColumnOrder = readonly number[];

export function decodeColumnOrder(names: unknown): ColumnOrder {
  const serverColumns = asArray(names);
  return columns.map((column, at) => (serverColumns.length > 0 ? serverColumns.indexOf(column) : at));
}

/** Decodes the rows of a frame and drops invalid ones. */
export function decodeRows(rows: unknown, order: ColumnOrder): readonly LivePosition[] {
  return asArray(rows).flatMap((row) => decodeRow(asArray(row), order) ?? []);
}

function decodeRow(cells: readonly unknown[], order: ColumnOrder): LivePosition | undefined {
  const [deviceId, lon, lat, ts, speed, course, altitude] = order.map((at) => cells[at]);
  if (typeof deviceId !== 'string' || !isNumber(lon) || !isNumber(lat) || !isNumber(ts)) return undefined;
  return {
    deviceId,
    lat,
    lon,
    ts,
    ...(isNumber(speed) && { speed }),
    ...(isNumber(course) && { course }),
    ...(isNumber(altitude) && { altitude }),
  };
}

export function asStrings(value: unknown): readonly string[] {
  return asArray(value).filter((item) => typeof item === 'string');
}

export function asString(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A duration; undefined if invalid. */
export function asMs(value: unknown): number | undefined {
  return isNumber(value) && value >= 0 ? value : undefined;
}

function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
