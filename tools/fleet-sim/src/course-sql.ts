import { buildCourse } from './course.ts';

/** Statements that insert the course into Directus' tables. Ids are derived from the event's and the names. */
export function courseSql(eventId: string): string {
  const stages: string[][] = [];
  const gates: string[][] = [];
  const waypoints: string[][] = [];
  const zones: string[][] = [];
  for (const [s, stage] of buildCourse().entries()) {
    const id = (name: string) => `md5('${eventId} ${stage.name} ${name}')::uuid`;
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
  ].join('\n');
}

function insert(table: string, columns: string, rows: readonly (readonly string[])[]): string {
  const values = rows.map((row) => `  (${row.join(', ')})`).join(',\n');
  return `insert into ${table} (${columns}) values\n${values}\non conflict do nothing;\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
