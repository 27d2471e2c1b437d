import { buildCourse } from './course.ts';
import type { StartListEntry } from './start-list.ts';

export interface RaceSqlOptions {
  readonly eventId: string;
  readonly entries: readonly StartListEntry[];
  /** When the first entry starts, as an SQL expression. */
  readonly startAt: string;
}

/**
 * Statements that insert a running event with its entries, trackers and course into Directus' tables. Ids are derived from
 * names and IMEIs, so that running them again changes nothing.
 */
export function raceSql(options: RaceSqlOptions): string {
  return [...eventSql(options), ...courseSql(options.eventId)].join('\n');
}

/** The event begins before its first start, so that what trackers send on their way to it belongs to it. */
const eventBeginsBefore = "interval '15 minutes'";

function eventSql({ eventId, entries, startAt }: RaceSqlOptions): readonly string[] {
  const trackers = entries.flatMap(({ imeis }) =>
    imeis.map((imei, n) => ({ imei, entry: imeis[0] ?? '', order: n + 1 })),
  );
  return [
    insert('events', 'id, name, start_at, race_status', [
      [quote(eventId), quote('A simulated rally'), `${startAt} - ${eventBeginsBefore}`, quote('running')],
    ]),
    insert(
      'devices',
      'id, imei',
      trackers.map(({ imei }) => [idOf(`device ${imei}`), quote(imei)]),
    ),
    insert(
      'entries',
      'id, name, event_id, number, class, crew, start_order, start_at',
      entries.map(({ number, crew, startOrder, startAfterMs, imeis, ...entry }) => [
        idOf(`entry ${imeis[0] ?? ''}`),
        quote(`No. ${number}`),
        quote(eventId),
        quote(number),
        quote(entry.class),
        quote(crew),
        String(startOrder),
        `${startAt} + interval '${startAfterMs} ms'`,
      ]),
    ),
    insert(
      'entry_devices',
      'id, entry_id, device_id, order_number',
      trackers.map(({ imei, entry, order }) => [
        idOf(`entry device ${imei}`),
        idOf(`entry ${entry}`),
        `(select id from devices where imei = ${quote(imei)})`,
        String(order),
      ]),
    ),
  ];
}

function courseSql(eventId: string): readonly string[] {
  const stages: string[][] = [];
  const gates: string[][] = [];
  const waypoints: string[][] = [];
  const zones: string[][] = [];
  for (const [s, stage] of buildCourse().entries()) {
    const id = (name: string) => idOf(`${eventId} ${stage.name} ${name}`);
    const stageId = id('stage');
    const line = JSON.stringify({ type: 'LineString', coordinates: stage.line });
    stages.push([stageId, quote(eventId), quote(stage.name), `${s + 1}`, quote(line), quote('gate')]);
    for (const [n, { name, kind, left, right }] of stage.gates.entries()) {
      const degrees = [left.latitude, left.longitude, right.latitude, right.longitude].map(String);
      gates.push([id(name), stageId, quote(name), `${n + 1}`, quote(kind), ...degrees]);
    }
    for (const [n, waypoint] of stage.waypoints.entries()) {
      const { name, kind, latitude, longitude, radiusM, missedPenaltyS } = waypoint;
      const numbers = [latitude, longitude, radiusM, missedPenaltyS].map(String);
      waypoints.push([id(name), stageId, quote(name), `${n + 1}`, quote(kind), ...numbers]);
    }
    for (const { name, kind, polygon, limitKmh } of stage.zones) {
      const shape = JSON.stringify({ type: 'Polygon', coordinates: [polygon] });
      zones.push([id(name), stageId, quote(name), quote(kind), quote(shape), String(limitKmh ?? 'null')]);
    }
  }
  return [
    insert('stages', 'id, event_id, name, order_number, line, start_by', stages),
    insert(
      'gates',
      'id, stage_id, name, order_number, kind, left_latitude, left_longitude, right_latitude, right_longitude',
      gates,
    ),
    insert(
      'waypoints',
      'id, stage_id, name, order_number, kind, latitude, longitude, radius_m, missed_penalty_s',
      waypoints,
    ),
    insert('zones', 'id, stage_id, name, kind, polygon, limit_kmh', zones),
  ];
}

function insert(table: string, columns: string, rows: readonly (readonly string[])[]): string {
  const values = rows.map((row) => `  (${row.join(', ')})`).join(',\n');
  return `insert into ${table} (${columns}) values\n${values}\non conflict do nothing;\n`;
}

function idOf(name: string): string {
  return `md5(${quote(name)})::uuid`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
