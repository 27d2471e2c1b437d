import { columns } from '@app/shared/protocol';
import type { SnapshotPosition } from '@app/shared/messages';

/**
 * A device's newest position. `lat`, `lon` in degrees, `ts` the fix time in epoch ms, `speed` in km/h, `course` in
 * degrees from north, `altitude` in metres; what is unknown is left out. `deviceId` is Directus' id of the device.
 */
export type LivePosition = SnapshotPosition;

/** A message of the server with the fields that matter here, none of which is known to be there or to be right. */
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
      | 'devices'
      | 'reason'
      | 'afterMs'
      | 'code'
      | 'message'
      | 'temporary'
      | 'retryAfterMs'
  ]?: unknown;
};

/** Reads a frame; undefined if it is no JSON object. */
export function readServerMessage(text: string): ServerMessage | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return typeof json === 'object' && json !== null ? json : undefined;
  } catch {
    return undefined;
  }
}

/** Where in a row each of our columns is: a later server may order them otherwise, or have more. */
export type ColumnOrder = readonly number[];

export function readColumnOrder(names: unknown): ColumnOrder {
  const list = asList(names);
  return columns.map((column, at) => (list.length > 0 ? list.indexOf(column) : at));
}

/** The positions of a frame. Rows that are none are left out. */
export function readRows(rows: unknown, order: ColumnOrder): readonly LivePosition[] {
  return asList(rows).flatMap((row) => readRow(asList(row), order) ?? []);
}

function readRow(cells: readonly unknown[], order: ColumnOrder): LivePosition | undefined {
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

export function readTexts(value: unknown): readonly string[] {
  return asList(value).filter((item) => typeof item === 'string');
}

/** The text, or undefined if it is none. */
export function readText(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** A length of time; undefined if it is none. */
export function readMs(value: unknown): number | undefined {
  return isNumber(value) && value >= 0 ? value : undefined;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}
