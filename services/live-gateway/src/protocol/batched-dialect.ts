import type { LatestFix } from '../latest/latest-fixes.ts';
import type { IndexedDevice } from '../fanout/device-index.ts';

/** Maximum ids per frame below 16 KiB. */
const idsPerFrame = 380;

// These frames contain ASCII only (numbers, UUIDs, topics, cursors, epochs) and nothing that needs escaping, so one
// character is one byte.

/** A row in the order of `columns`. Encoded once per fix, for all clients. */
export function encodeRow(indexed: IndexedDevice, fix: LatestFix): string {
  if (indexed.encodedFix === fix) return indexed.row;
  indexed.encodedFix = fix;
  indexed.row = JSON.stringify([
    indexed.device.id,
    fix.longitude,
    fix.latitude,
    fix.fixAtMs,
    fix.speedKmh,
    fix.courseDeg,
    fix.altitudeM,
  ]);
  return indexed.row;
}

/** @param cursor only in the last frame of a flush. */
export function encodePositions(topic: string, rows: readonly string[], cursor: string | undefined): string {
  return `${encodePositionsHead(topic, cursor)}${rows.join()}]}`;
}

/** The part of `positions` before its rows. */
export function encodePositionsHead(topic: string, cursor: string | undefined): string {
  return `{"type":"positions","topic":"${topic}"${cursorField(cursor)},"rows":[`;
}

/** @param end only in the last part; its cursor is undefined until one can be given. */
export function encodeSnapshot(
  topic: string,
  part: number,
  rows: readonly string[],
  end: { readonly cursor: string | undefined } | undefined,
): string {
  const last = end === undefined ? '' : `,"last":true${cursorField(end.cursor)}`;
  return `{"type":"snapshot","topic":"${topic}","part":${part}${last},"rows":[${rows.join()}]}`;
}

/** `devices` in as many frames as needed; removals come first, so that a device that is removed and added stays. */
export function encodeDevices(
  topic: string,
  added: readonly string[],
  removed: readonly string[],
): readonly string[] {
  const encode = (addedIds: readonly string[], removedIds: readonly string[]): string =>
    JSON.stringify({ type: 'devices', topic, added: addedIds, removed: removedIds });
  if (added.length + removed.length <= idsPerFrame) return [encode(added, removed)];
  return [...inParts(removed).map((ids) => encode([], ids)), ...inParts(added).map((ids) => encode(ids, []))];
}

export function encodeHidden(topic: string, deviceIds: readonly string[]): readonly string[] {
  return inParts(deviceIds).map((devices) => JSON.stringify({ type: 'hidden', topic, devices }));
}

export function encodeResync(topic: string): string {
  return `{"type":"resync","topic":"${topic}"}`;
}

function cursorField(cursor: string | undefined): string {
  return cursor === undefined ? '' : `,"cursor":"${cursor}"`;
}

function inParts(ids: readonly string[]): readonly (readonly string[])[] {
  const parts: (readonly string[])[] = [];
  for (let at = 0; at < ids.length; at += idsPerFrame) parts.push(ids.slice(at, at + idsPerFrame));
  return parts;
}
