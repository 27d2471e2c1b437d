import type { Decision } from '@app/race/decision';
import {
  readChoice,
  readId,
  readNumber,
  readOptionalId,
  readText,
  RowError,
  type NamedRow,
  type Row,
} from './read-row.ts';

const kinds = [
  'passing_added',
  'passing_suppressed',
  'passing_corrected',
  'episode_suppressed',
  'status',
  'penalty',
  'incident_resolved',
  'derived_time',
] as const satisfies readonly Decision['kind'][];

/** @throws {RowError} */
export function readDecision(values: Row): Decision {
  const kind = readChoice({ what: 'A decision', values }, 'kind', kinds);
  const row = { what: `A decision of the kind ${kind}`, values };
  const decided = {
    id: readId(row, 'id'),
    entryId: readId(row, 'entry_id'),
    decidedAtMs: readNumber(row, 'decided_at', 0),
    decidedBy: readText(row, 'decided_by') || 'an unknown user',
    reason: readText(row, 'reason'),
  };
  switch (kind) {
    case 'passing_added':
      return { ...decided, kind, targetId: readTarget(row), atMs: readPreciseTime(row, 'at') };
    case 'passing_suppressed':
      return { ...decided, kind, targetId: readTarget(row), atMs: readNumber(row, 'at') };
    case 'passing_corrected': {
      const correctedAtMs = readPreciseTime(row, 'corrected_at');
      return { ...decided, kind, targetId: readTarget(row), atMs: readNumber(row, 'at'), correctedAtMs };
    }
    case 'episode_suppressed':
      return { ...decided, kind, zoneId: readId(row, 'zone_id'), atMs: readNumber(row, 'at') };
    case 'status': {
      const status = readChoice(row, 'decided_status', ['dns', 'dnf', 'otl', 'dsq']);
      return { ...decided, kind, stageId: readOptionalId(row, 'stage_id'), status };
    }
    case 'penalty':
      return { ...decided, kind, stageId: readId(row, 'stage_id'), penaltyS: readNumber(row, 'penalty_s') };
    case 'incident_resolved': {
      const incident = readChoice(row, 'incident', ['sos', 'standing']);
      return { ...decided, kind, incident, atMs: readNumber(row, 'at') };
    }
    // 'derived_time'
    default:
      return { ...decided, kind, stageId: readId(row, 'stage_id') };
  }
}

function readTarget(row: NamedRow): string {
  const [gateId, waypointId] = [readOptionalId(row, 'gate_id'), readOptionalId(row, 'waypoint_id')];
  if (gateId !== undefined && waypointId !== undefined) {
    throw new RowError(`${row.what} has a gate and a waypoint; it must have one of them.`);
  }
  const targetId = gateId ?? waypointId;
  if (targetId === undefined) throw new RowError(`${row.what} has neither a gate nor a waypoint.`);
  return targetId;
}

/** The time fields of Directus have whole seconds; the milliseconds are a field of their own. */
function readPreciseTime(row: NamedRow, column: string): number {
  const milliseconds = readNumber(row, 'milliseconds', 0);
  if (!(milliseconds >= 0 && milliseconds <= 999)) {
    throw new RowError(`${row.what} has ${milliseconds} milliseconds; they must be from 0 to 999.`);
  }
  return readNumber(row, column) + milliseconds;
}
