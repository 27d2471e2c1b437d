import { CodecError, decodePosition, encodePosition } from './codec.ts';
import type { Codec, DecodedPosition, Position } from './position.ts';

/** The content of a telemetry stream entry, to be encoded. */
export interface TelemetryRecord {
  readonly position: Position;
  readonly codec: Codec;
}

/** The decoded content of a telemetry stream entry. */
export interface DecodedRecord {
  readonly position: DecodedPosition;
  readonly codec: Codec;
}

/** The two relevant fields of an entry, with the payload not yet decoded. */
export interface RawRecord {
  readonly payload: Uint8Array | string;
  readonly codec: Codec;
}

/**
 * Decodes the fields of a stream entry, as Redis returns them: `[name, value, name, value, …]`.
 *
 * Only `payload` and `codec` are read. `ts` and `device_id` repeat values of the payload for readers that filter without
 * parsing; if they differ, the payload wins. Other fields (a trace id, `dlq_*` of a replayed dead letter) are ignored. A
 * duplicate `payload` or `codec` is an error.
 */
export function decodeFields(fields: readonly Uint8Array[]): DecodedRecord | CodecError {
  let payload: Uint8Array | undefined;
  let codecBytes: Uint8Array | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at];
    const value = fields[at + 1];
    if (name === undefined || value === undefined) break;
    if (isAscii(name, 'payload')) {
      if (payload !== undefined) return new CodecError('duplicate_field', 'payload must be present once');
      payload = value;
    } else if (isAscii(name, 'codec')) {
      if (codecBytes !== undefined) return new CodecError('duplicate_field', 'codec must be present once');
      codecBytes = value;
    }
  }
  if (payload === undefined) return new CodecError('missing_field', 'the entry has no payload field');
  if (codecBytes === undefined) return new CodecError('missing_field', 'the entry has no codec field');
  const codec = decodeCodec(codecBytes);
  if (codec === undefined) return new CodecError('bad_codec', 'codec must be 8, 8E or 16');
  const position = decodePosition(payload);
  return position instanceof CodecError ? position : { position, codec };
}

/** As `decodeFields`, for a caller that has found the two fields already. */
export function decodeRecord({ payload, codec }: RawRecord): DecodedRecord | CodecError {
  const position = decodePosition(payload);
  return position instanceof CodecError ? position : { position, codec };
}

/** Encodes the fields of an entry as a flat list, for XADD. */
export function encodeFields(record: TelemetryRecord): string[] {
  const { position, codec } = record;
  return [
    'ts',
    new Date(position.fixAtMs).toISOString(),
    'device_id',
    position.deviceId,
    'codec',
    codec,
    'payload',
    encodePosition(position),
  ];
}

/** When Redis added an entry, in epoch ms of Redis' clock: the first part of an id like `1732412345678-0`. */
export function entryArrivedAtMs(entryId: string): number {
  const dashAt = entryId.indexOf('-');
  return Number(dashAt === -1 ? entryId : entryId.slice(0, dashAt));
}

/**
 * Compares two entry ids: negative, 0 or positive. Both parts are unsigned 64-bit decimals without leading zeros, as
 * Redis writes them; compared as strings, because a number loses digits beyond 2^53.
 */
export function compareEntryIds(a: string, b: string): number {
  const dashA = a.indexOf('-');
  const dashB = b.indexOf('-');
  return (
    compareDecimals(dashA === -1 ? a : a.slice(0, dashA), dashB === -1 ? b : b.slice(0, dashB)) ||
    compareDecimals(dashA === -1 ? '0' : a.slice(dashA + 1), dashB === -1 ? '0' : b.slice(dashB + 1))
  );
}

function compareDecimals(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function decodeCodec(bytes: Uint8Array): Codec | undefined {
  if (isAscii(bytes, '8E')) return '8E';
  if (isAscii(bytes, '8')) return '8';
  return isAscii(bytes, '16') ? '16' : undefined;
}

function isAscii(bytes: Uint8Array, expected: string): boolean {
  if (bytes.length !== expected.length) return false;
  for (let at = 0; at < expected.length; at += 1) {
    if (bytes[at] !== expected.charCodeAt(at)) return false;
  }
  return true;
}
