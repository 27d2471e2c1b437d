import type { Assignment, Entry, Gate, Stage, Waypoint, Zone } from '@app/race/course';
import { readLineString, readPolygonRing } from './read-geojson.ts';
import {
  nameRow,
  readChoice,
  readId,
  readNumber,
  readOptionalId,
  readOptionalNumber,
  readText,
  RowError,
  type NamedRow,
  type Row,
} from './read-row.ts';

// Each reads a row, with the defaults of deploy/directus/snapshot.yaml for what is empty, and throws a RowError. Of a row
// that can be used without a part of it that is wrong, `report` gets the sentence.

export function readStage(values: Row, report: (message: string) => void): Stage {
  const row = nameRow('stage', values);
  return {
    id: readId(row, 'id'),
    name: readText(row, 'name'),
    order: readNumber(row, 'order_number'),
    kind: readChoice(row, 'kind', ['special', 'liaison', 'leg'], 'special'),
    line: readLine(row, report),
    startAtMs: readOptionalNumber(row, 'start_at'),
    startIntervalS: readNumber(row, 'start_interval_s', 60),
    startBy: readChoice(row, 'start_by', ['schedule', 'gate'], 'schedule'),
    timeLimitS: readOptionalNumber(row, 'time_limit_s'),
  };
}

function readLine(row: NamedRow, report: (message: string) => void): Stage['line'] {
  const line = row.values['line'];
  if (line === null || line === undefined) return undefined;
  try {
    return readLineString(`The line of ${lowerFirst(row.what)}`, line);
  } catch (error) {
    if (!(error instanceof RowError)) throw error;
    report(error.message);
    return undefined;
  }
}

export function readGate(values: Row): Gate {
  const row = nameRow('gate', values);
  return {
    id: readId(row, 'id'),
    stageId: readId(row, 'stage_id'),
    name: readText(row, 'name'),
    order: readNumber(row, 'order_number'),
    kind: readChoice(row, 'kind', ['start', 'split', 'finish'], 'split'),
    left: { latitude: readNumber(row, 'left_latitude'), longitude: readNumber(row, 'left_longitude') },
    right: { latitude: readNumber(row, 'right_latitude'), longitude: readNumber(row, 'right_longitude') },
    direction: readChoice(row, 'direction', ['forward', 'both'], 'forward'),
    deadTimeS: readNumber(row, 'dead_time_s', 10),
    crossing: readChoice(row, 'crossing', ['first', 'last'], 'first'),
  };
}

export function readWaypoint(values: Row): Waypoint {
  const row = nameRow('waypoint', values);
  return {
    id: readId(row, 'id'),
    stageId: readId(row, 'stage_id'),
    name: readText(row, 'name'),
    order: readNumber(row, 'order_number'),
    position: { latitude: readNumber(row, 'latitude'), longitude: readNumber(row, 'longitude') },
    radiusM: readNumber(row, 'radius_m'),
    kind: readChoice(row, 'kind', ['visible', 'hidden'], 'visible'),
    isAnyOrder: row.values['is_any_order'] === true,
    missedPenaltyS: readNumber(row, 'missed_penalty_s', 0),
  };
}

export function readZone(values: Row): Zone {
  const row = nameRow('zone', values);
  return {
    id: readId(row, 'id'),
    stageId: readId(row, 'stage_id'),
    name: readText(row, 'name'),
    kind: readChoice(row, 'kind', ['speed', 'protected'], 'speed'),
    area: readArea(row),
    limitKmh: readNumber(row, 'limit_kmh', 0),
    toleranceKmh: readNumber(row, 'tolerance_kmh', 0),
    graceM: readNumber(row, 'grace_m', 0),
    minimumDurationS: readNumber(row, 'minimum_duration_s', 0),
    penaltyFactor: readNumber(row, 'penalty_factor', 10),
  };
}

function readArea(row: NamedRow): Zone['area'] {
  const polygon = row.values['polygon'];
  const fromWaypointId = readOptionalId(row, 'from_waypoint_id');
  const toWaypointId = readOptionalId(row, 'to_waypoint_id');
  if (polygon !== null && polygon !== undefined) {
    if (fromWaypointId !== undefined || toWaypointId !== undefined) {
      throw new RowError(`${row.what} has a polygon and waypoints; it must have one or the other.`);
    }
    return { polygon: readPolygonRing(`The polygon of ${lowerFirst(row.what)}`, polygon) };
  }
  if (fromWaypointId === undefined || toWaypointId === undefined) {
    throw new RowError(`${row.what} has neither a polygon nor two waypoints.`);
  }
  return { fromWaypointId, toWaypointId };
}

export function readEntry(values: Row): Entry {
  const row = nameRow('entry', values);
  return {
    id: readId(row, 'id'),
    number: readText(row, 'number') || readText(row, 'name'),
    crew: readText(row, 'crew'),
    class: readText(row, 'class'),
    startOrder: readOptionalNumber(row, 'start_order'),
    startAtMs: readOptionalNumber(row, 'start_at'),
    status: readChoice(row, 'race_status', ['entered', 'dns', 'dnf', 'dsq'], 'entered'),
  };
}

export function readAssignment(values: Row): Assignment {
  const imei = values['imei'];
  const row = {
    what: typeof imei === 'string' && imei !== '' ? `The device ${imei}` : 'A device of an entry',
    values,
  };
  return {
    id: readId(row, 'id'),
    entryId: readId(row, 'entry_id'),
    deviceId: readId(row, 'imei'),
    order: readNumber(row, 'order_number', 1),
    fromMs: readOptionalNumber(row, 'from_at'),
    untilMs: readOptionalNumber(row, 'until_at'),
  };
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
