/** What an IO element of a tracker can carry. JSON has no bigint and no bytes: see `sentinel.ts` for their form there. */
export type AttributeValue = number | string | boolean | bigint | Uint8Array;

/** IO id as text → value. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** 0 low, 1 high, 2 panic. */
export type Priority = 0 | 1 | 2;

/** The tracker protocol that a record came by: Teltonika codec 8, 8 Extended or 16. */
export type Codec = '8' | '8E' | '16';

/**
 * One fix of one tracker. Numbers are finite and never -0. What `decodePosition` returns keeps the bounds below;
 * what a producer encodes outside of them is refused by every reader.
 */
export interface Position {
  /** IMEI: 1..32 of `[0-9A-Za-z_-]`. */
  readonly deviceId: string;
  /** The fix time by the tracker's clock: whole epoch milliseconds, years 1970..9999. */
  readonly fixAtMs: number;
  /** Degrees, WGS 84, -90..90. */
  readonly latitude: number;
  /** Degrees, WGS 84, -180..180. */
  readonly longitude: number;
  /** Metres, -10^6..10^6. */
  readonly altitudeM: number;
  /** Degrees from north, clockwise, 0..360. */
  readonly courseDeg: number;
  /** -10^6..10^6. */
  readonly speedKmh: number;
  /** Whole, 0..255; 0 means that the tracker had no fix. */
  readonly satellites: number;
  readonly priority: Priority;
  /** At most 255. */
  readonly attributes: Attributes;
}

/** A Position as it came: checked in full, its attributes still the JSON text that a JSONB column takes. */
export interface ReceivedPosition extends Omit<Position, 'attributes'> {
  readonly attributesJson: string;
}
