import { randomUUID } from 'node:crypto';
import type { TelemetryRecord } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import type { Sql } from 'postgres';
import { record } from './telemetry.ts';

const origin = { latitude: 62, longitude: 25 };
/** About, which is enough: the rules measure for themselves. */
const metresPerDegree = { north: 111_412, east: 52_400 };
/** When the event starts. */
export const startAtMs = Date.UTC(2026, 5, 1, 8);

/** A place in metres east and north of the start. */
export function pointAt(east: number, north = 0) {
  return {
    latitude: origin.latitude + north / metresPerDegree.north,
    longitude: origin.longitude + east / metresPerDegree.east,
  };
}

export interface SmallRace {
  readonly eventId: string;
  readonly stageId: string;
  /** Start at 0 m, split at 500 m, finish at 1,000 m. */
  readonly gateIds: readonly string[];
  /** The tracker of entry n has the n-th IMEI; the last one is in no entry. */
  readonly imeis: readonly string[];
  readonly deviceIds: readonly string[];
  readonly entryIds: readonly string[];
  readonly assignmentIds: readonly string[];
}

/**
 * A running event of one straight stage of a kilometre to the east, with three gates, two waypoints and a speed zone.
 *
 * @param hours until its end, which is past unless it is many
 */
export async function insertSmallRace(
  sql: Sql,
  { entries = 3, hours = 10 }: { readonly entries?: number; readonly hours?: number } = {},
): Promise<SmallRace> {
  const [eventId, stageId, zoneId] = [randomUUID(), randomUUID(), randomUUID()];
  const gateIds = ids(3);
  const entryIds = ids(entries);
  const assignmentIds = ids(entries);
  const deviceIds = ids(entries + 1);
  const imeis = deviceIds.map((_, n) =>
    String(356_000_000_000_000 + Math.floor(Math.random() * 1e9) * 100 + n),
  );
  const line = JSON.stringify({ type: 'LineString', coordinates: [positionAt(0, 0), positionAt(1000, 0)] });
  const square = [
    positionAt(600, -50),
    positionAt(800, -50),
    positionAt(800, 50),
    positionAt(600, 50),
    positionAt(600, -50),
  ];
  const polygon = JSON.stringify({ type: 'Polygon', coordinates: [square] });
  const endAt = new Date(startAtMs + hours * 3_600_000);
  await sql`
    insert into events (id, name, start_at, end_at, race_status)
    values (${eventId}, 'Rally', ${new Date(startAtMs)}, ${endAt}, 'running')`;
  await sql`
    insert into stages (id, event_id, name, order_number, kind, line, start_by, time_limit_s)
    values (${stageId}, ${eventId}, 'SS 1', 1, 'special', ${line}::text::json, 'gate', 3600)`;
  for (const [n, id] of gateIds.entries()) {
    const [left, right] = [pointAt(n * 500, 30), pointAt(n * 500, -30)];
    await sql`
      insert into gates (id, stage_id, name, order_number, kind, left_latitude, left_longitude, right_latitude,
                         right_longitude, crossing)
      values (${id}, ${stageId}, ${`Gate ${n}`}, ${n + 1}, ${['start', 'split', 'finish'][n] ?? ''}, ${left.latitude},
              ${left.longitude}, ${right.latitude}, ${right.longitude}, ${n === 0 ? 'last' : 'first'})`;
  }
  for (const [n, east] of [250, 750].entries()) {
    const { latitude, longitude } = pointAt(east, 10);
    await sql`
      insert into waypoints (id, stage_id, name, order_number, latitude, longitude, radius_m, missed_penalty_s)
      values (${randomUUID()}, ${stageId}, ${`WP ${n}`}, ${n + 1}, ${latitude}, ${longitude}, 40, 30)`;
  }
  await sql`
    insert into zones (id, stage_id, name, kind, polygon, limit_kmh)
    values (${zoneId}, ${stageId}, 'Village', 'speed', ${polygon}::text::json, 60)`;
  for (const [n, id] of deviceIds.entries())
    await sql`insert into devices (id, imei) values (${id}, ${imeis[n] ?? ''})`;
  for (const [n, id] of entryIds.entries()) {
    await sql`
      insert into entries (id, event_id, name, number, class, start_order)
      values (${id}, ${eventId}, ${`Entry ${n}`}, ${String(n + 1)}, 'car', ${n + 1})`;
    await sql`
      insert into entry_devices (id, entry_id, device_id) values (${assignmentIds[n] ?? ''}, ${id}, ${deviceIds[n] ?? ''})`;
  }
  return { eventId, stageId, gateIds, imeis, deviceIds, entryIds, assignmentIds };
}

/** A drive over the stage with a fix a second, from 100 m before its start to 100 m after its finish. */
export function drive(
  deviceId: string,
  {
    from = 60,
    speedKmh = 80,
    north = 0,
  }: { readonly from?: number; readonly speedKmh?: number; readonly north?: number } = {},
): readonly TelemetryRecord[] {
  const seconds = Math.ceil(1200 / (speedKmh / 3.6));
  return Array.from({ length: seconds }, (_, s) =>
    fixAt(deviceId, from + s, -100 + (s * speedKmh) / 3.6, north + 3 * Math.sin(s), { speedKmh }),
  );
}

/** @param atS seconds after the start of the event */
export function fixAt(
  deviceId: string,
  atS: number,
  east: number,
  north: number,
  more: Partial<Position> = {},
): TelemetryRecord {
  const attributes = { '182': 8 + (Math.round(atS) % 5), '239': 1 };
  return record({
    deviceId,
    fixAtMs: startAtMs + Math.round(atS * 1000),
    ...pointAt(east, north),
    attributes,
    ...more,
  });
}

function ids(count: number): readonly string[] {
  return Array.from({ length: count }, () => randomUUID());
}

function positionAt(east: number, north: number): readonly number[] {
  const { latitude, longitude } = pointAt(east, north);
  return [longitude, latitude];
}
