import type { LatestFix } from '../latest/latest-fixes.ts';

/** Maximum device ids per frame; keeps it below 16 KiB. */
const idsPerFrame = 380;

// Everything in these frames is ASCII and needs no JSON escaping: numbers, UUIDs, topics, cursors, epochs. So the length
// of a string is its length in bytes.

/** A row in the order of `columns`. */
export function encodeRow(deviceId: string, fix: LatestFix): string {
  return JSON.stringify([
    deviceId,
    fix.longitude,
    fix.latitude,
    fix.fixAtMs,
    fix.speedKmh,
    fix.courseDeg,
    fix.altitudeM,
  ]);
}

/** @param cursor only in the last frame of a flush. */
export function encodePositions(topic: string, rows: readonly string[], cursor: string | undefined): string {
  return `${encodePositionsHead(topic, cursor)}${rows.join()}]}`;
}

/** A `positions` frame up to its first row. */
export function encodePositionsHead(topic: string, cursor: string | undefined): string {
  return `{"type":"positions","topic":"${topic}"${encodeCursorField(cursor)},"rows":[`;
}

/** @param end only for the last part; its cursor is undefined while no cursor can be issued. */
export function encodeSnapshot(
  topic: string,
  part: number,
  rows: readonly string[],
  end: { readonly cursor: string | undefined } | undefined,
): string {
  const last = end === undefined ? '' : `,"last":true${encodeCursorField(end.cursor)}`;
  return `{"type":"snapshot","topic":"${topic}","part":${part}${last},"rows":[${rows.join()}]}`;
}

/** `devices` frames. Removals come first, so that a device that was removed and added again stays. */
export function encodeDevices(
  topic: string,
  added: readonly string[],
  removed: readonly string[],
): readonly string[] {
  const encode = (addedIds: readonly string[], removedIds: readonly string[]): string =>
    JSON.stringify({ type: 'devices', topic, added: addedIds, removed: removedIds });
  if (added.length + removed.length <= idsPerFrame) return [encode(added, removed)];
  return [...chunk(removed).map((ids) => encode([], ids)), ...chunk(added).map((ids) => encode(ids, []))];
}

export function encodeHidden(topic: string, deviceIds: readonly string[]): readonly string[] {
  return chunk(deviceIds).map((devices) => JSON.stringify({ type: 'hidden', topic, devices }));
}

export function encodeResync(topic: string): string {
  return `{"type":"resync","topic":"${topic}"}`;
}

function encodeCursorField(cursor: string | undefined): string {
  return cursor === undefined ? '' : `,"cursor":"${cursor}"`;
}

function chunk(ids: readonly string[]): readonly (readonly string[])[] {
  const chunks: (readonly string[])[] = [];
  for (let start = 0; start < ids.length; start += idsPerFrame)
    chunks.push(ids.slice(start, start + idsPerFrame));
  return chunks;
}
