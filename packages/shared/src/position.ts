/** Value of a tracker's IO element. `sentinel.ts` defines the JSON form of bigint and bytes. */
export type AttributeValue = number | string | boolean | bigint | Uint8Array;

/** Values by IO id. */
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** 0 low, 1 high, 2 panic. */
export type Priority = 0 | 1 | 2;

/** The tracker protocol of a record: Teltonika codec 8, 8 Extended or 16. */
export type Codec = '8' | '8E' | '16';

/** One GPS record of one tracker. Numbers are finite and never -0; `decodePosition` rejects values outside the bounds. */
export interface Position {
  /** IMEI: 1..32 of `[0-9A-Za-z_-]`. */
  readonly deviceId: string;
  /** Fix time by the tracker's clock, in whole epoch milliseconds, years 1970..9999. */
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
  /** Integer, 0..255; 0 means that the tracker had no fix. */
  readonly satellites: number;
  readonly priority: Priority;
  /** At most 255. */
  readonly attributes: Attributes;
}

/** A decoded and validated position, its attributes in the JSON form that a JSONB column stores. */
export interface DecodedPosition extends Omit<Position, 'attributes'> {
  readonly attributesJson: string;
}
