import { CodecError, decodePosition, encodePosition, receivePosition } from './codec.ts';
import type { Codec, Position, ReceivedPosition } from './position.ts';

/** What one entry of a telemetry stream says. */
export interface TelemetryRecord {
  readonly position: Position;
  readonly codec: Codec;
}

/** A record as it came: checked in full, its attributes still in their JSON form. */
export interface ReceivedRecord {
  readonly position: ReceivedPosition;
  readonly codec: Codec;
}

/** The two fields of an entry that make a record, as they came. */
export interface RawRecord {
  readonly payload: Uint8Array | string;
  readonly codec: Codec;
}

/**
 * Reads the fields of a stream entry as Redis gives them in bytes: `[name, value, name, value, …]`.
 *
 * Only `payload` and `codec` are read. `ts` and `device_id` repeat the payload so that a reader can filter without
 * parsing, and where they differ the payload is the truth; any other field (a trace id, `dlq_*` of a replayed dead
 * letter) is ignored. A field that stands there twice is refused: nothing says which of the two is meant.
 */
export function decodeFields(fields: readonly Uint8Array[]): TelemetryRecord | CodecError {
  return readFields(fields, decodePosition);
}

/** As `decodeFields`, for who stores a position or shows it: nobody there needs its attributes as values. */
export function receiveFields(fields: readonly Uint8Array[]): ReceivedRecord | CodecError {
  return readFields(fields, receivePosition);
}

/** As `receiveFields`, for who has found the two fields already. */
export function receiveRecord({ payload, codec }: RawRecord): ReceivedRecord | CodecError {
  const position = receivePosition(payload);
  return position instanceof CodecError ? position : { position, codec };
}

function readFields<P extends object>(
  fields: readonly Uint8Array[],
  readPayload: (payload: Uint8Array) => P | CodecError,
): { readonly position: P; readonly codec: Codec } | CodecError {
  let payload: Uint8Array | undefined;
  let codecBytes: Uint8Array | undefined;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at];
    const value = fields[at + 1];
    if (name === undefined || value === undefined) break;
    if (isAscii(name, 'payload')) {
      if (payload !== undefined) return new CodecError('duplicate_field', 'payload must be there once');
      payload = value;
    } else if (isAscii(name, 'codec')) {
      if (codecBytes !== undefined) return new CodecError('duplicate_field', 'codec must be there once');
      codecBytes = value;
    }
  }
  if (payload === undefined) return new CodecError('missing_field', 'the entry has no field payload');
  if (codecBytes === undefined) return new CodecError('missing_field', 'the entry has no field codec');
  const codec = readCodec(codecBytes);
  if (codec === undefined) return new CodecError('bad_codec', 'codec must be 8, 8E or 16');
  const position = readPayload(payload);
  return position instanceof CodecError ? position : { position, codec };
}

/** The fields of an entry, flat, for XADD. */
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

/** The time at which Redis took an entry, in epoch ms of Redis' clock: the first part of an id like `1732412345678-0`. */
export function entryArrivedAtMs(entryId: string): number {
  const dashAt = entryId.indexOf('-');
  return Number(dashAt === -1 ? entryId : entryId.slice(0, dashAt));
}

/**
 * The order of two entry ids: negative, 0 or positive. Both parts are unsigned 64-bit numbers in decimal without
 * leading zeros, as Redis writes them; compared as text, because a number loses digits beyond 2^53.
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

function readCodec(bytes: Uint8Array): Codec | undefined {
  if (isAscii(bytes, '8E')) return '8E';
  if (isAscii(bytes, '8')) return '8';
  return isAscii(bytes, '16') ? '16' : undefined;
}

function isAscii(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false;
  for (let at = 0; at < text.length; at += 1) {
    if (bytes[at] !== text.charCodeAt(at)) return false;
  }
  return true;
}
