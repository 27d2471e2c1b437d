import type { LatestFix } from '../latest/latest-fixes.ts';
import type { IndexedDevice } from '../fanout/device-index.ts';

/** So many ids fit into one frame below 16 KiB. */
const idsPerFrame = 380;

// All that stands in these frames is ASCII: numbers, UUIDs, topics made of one, cursors, and epochs of our own. Nothing
// in them needs escaping, and a character is a byte.

/** A row in the order of `columns`. Written once per fix, whoever gets it. */
export function encodeRow(seat: IndexedDevice, fix: LatestFix): string {
  if (seat.writtenFix === fix) return seat.written;
  seat.writtenFix = fix;
  seat.written = JSON.stringify([
    seat.device.id,
    fix.longitude,
    fix.latitude,
    fix.fixAtMs,
    fix.speedKmh,
    fix.courseDeg,
    fix.altitudeM,
  ]);
  return seat.written;
}

/** @param cursor in the last frame of a flush only. */
export function encodePositions(topic: string, rows: readonly string[], cursor: string | undefined): string {
  return `${encodePositionsHead(topic, cursor)}${rows.join()}]}`;
}

/** All of `positions` up to its rows. */
export function encodePositionsHead(topic: string, cursor: string | undefined): string {
  return `{"type":"positions","topic":"${topic}"${cursorField(cursor)},"rows":[`;
}

/** @param end in the last part only; its cursor is undefined as long as the feed was not found. */
export function encodeSnapshot(
  topic: string,
  part: number,
  rows: readonly string[],
  end: { readonly cursor: string | undefined } | undefined,
): string {
  const last = end === undefined ? '' : `,"last":true${cursorField(end.cursor)}`;
  return `{"type":"snapshot","topic":"${topic}","part":${part}${last},"rows":[${rows.join()}]}`;
}

/** `devices` in as many frames as it takes: all that left first, for a device that left and came stays. */
export function encodeDevices(
  topic: string,
  added: readonly string[],
  removed: readonly string[],
): readonly string[] {
  const encode = (come: readonly string[], gone: readonly string[]): string =>
    JSON.stringify({ type: 'devices', topic, added: come, removed: gone });
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
