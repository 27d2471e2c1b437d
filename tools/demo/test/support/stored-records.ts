import { decodeAttributes } from '@app/shared/codec';
import type { TelemetryRecord } from '@app/shared/entry';
import type { Sql } from 'postgres';

/** The key of a record in `positions`. */
export function keyOf({ position }: TelemetryRecord): string {
  return `${position.deviceId} ${position.fixAtMs}`;
}

/** Every row of `positions` and `positions_past_limit` as a record, by key. Throws if a key has two rows. */
export async function readStoredRecords(sql: Sql): Promise<ReadonlyMap<string, unknown>> {
  const stored = new Map<string, unknown>();
  const rows = sql<StoredRow[]>`
    select device_id, extract(epoch from ts)::float8 * 1000 as fix_at_ms, latitude, longitude, altitude, angle,
           speed, satellites, priority, codec, attributes
    from (select * from positions union all select * from positions_past_limit) as stored`;
  for (const row of await rows) {
    const key = `${row.device_id} ${row.fix_at_ms}`;
    if (stored.has(key)) throw new Error('positions has two rows of one device and stamp');
    stored.set(key, {
      codec: row.codec,
      position: {
        deviceId: row.device_id,
        fixAtMs: row.fix_at_ms,
        latitude: row.latitude,
        longitude: row.longitude,
        altitudeM: row.altitude,
        courseDeg: row.angle,
        speedKmh: row.speed,
        satellites: row.satellites,
        priority: row.priority,
        attributes: decodeAttributes(row.attributes),
      },
    });
  }
  return stored;
}

interface StoredRow {
  readonly device_id: string;
  readonly fix_at_ms: number;
  readonly latitude: number;
  readonly longitude: number;
  readonly altitude: number;
  readonly angle: number;
  readonly speed: number;
  readonly satellites: number;
  readonly priority: number;
  readonly codec: string;
  readonly attributes: unknown;
}
