import type { Classification, ClassificationRow } from '@app/race/classify';
import type {
  BracketingFixes,
  EntryResults,
  IncidentRow,
  PassingRow,
  StageResultRow,
  WaypointRow,
  ZoneEpisodeRow,
} from '@app/race/rows';

type Cell = string | number | boolean | null;

/** A row of a result table by its columns; times are whole epoch milliseconds. */
export type TableRow = Readonly<Record<string, Cell>>;

export interface ResultTable {
  readonly name: string;
  /** Without `computed_at`. `time` is a timestamptz. */
  readonly columns: Readonly<Record<string, 'uuid' | 'text' | 'integer' | 'float8' | 'boolean' | 'time'>>;
  /**
   * What moves while a vehicle does, or follows from other rows: a change of nothing else is not kept in the history.
   * Undefined for a table without history.
   */
  readonly volatile: readonly string[] | undefined;
}

const common = {
  key: 'text',
  event_id: 'uuid',
  entry_id: 'uuid',
  stage_id: 'uuid',
  rule: 'text',
  rule_version: 'integer',
  confidence: 'text',
  is_decided: 'boolean',
} as const;
const seen = { ...common, lap: 'integer', device_id: 'text', before_at: 'time', after_at: 'time' } as const;

export const resultTables = {
  passings: {
    name: 'passings',
    columns: {
      ...seen,
      gate_id: 'uuid',
      direction: 'text',
      passed_at: 'time',
      uncertainty_ms: 'float8',
      verdict: 'text',
    },
    volatile: [],
  },
  waypoint_results: {
    name: 'waypoint_results',
    columns: {
      ...seen,
      waypoint_id: 'uuid',
      verdict: 'text',
      passed_at: 'time',
      uncertainty_ms: 'float8',
      distance_m: 'float8',
      penalty_ms: 'float8',
    },
    volatile: [],
  },
  zone_episodes: {
    name: 'zone_episodes',
    columns: {
      ...seen,
      zone_id: 'uuid',
      from_at: 'time',
      until_at: 'time',
      maximum_kmh: 'float8',
      duration_ms: 'float8',
      gained_m: 'float8',
      gained_ms: 'float8',
      penalty_ms: 'float8',
      verdict: 'text',
    },
    volatile: [],
  },
  incidents: {
    name: 'incidents',
    columns: {
      ...seen,
      from_at: 'time',
      until_at: 'time',
      is_open: 'boolean',
      latitude: 'float8',
      longitude: 'float8',
      is_position_good: 'boolean',
    },
    volatile: ['until_at', 'after_at'],
  },
  stage_results: {
    name: 'stage_results',
    columns: {
      ...common,
      status: 'text',
      start_at: 'time',
      finish_at: 'time',
      elapsed_ms: 'float8',
      uncertainty_ms: 'float8',
      penalty_ms: 'float8',
      total_ms: 'float8',
      is_to_be_derived: 'boolean',
      is_derived: 'boolean',
      gates_passed: 'integer',
      last_gate_at: 'time',
      missed_waypoints: 'integer',
      progress_m: 'float8',
      is_off_track: 'boolean',
    },
    volatile: ['progress_m', 'is_off_track'],
  },
  classification: {
    name: 'classification',
    columns: {
      ...common,
      list_order: 'integer',
      place: 'integer',
      class_place: 'integer',
      status: 'text',
      stages_finished: 'integer',
      total_ms: 'float8',
      gap_ms: 'float8',
      is_derived: 'boolean',
    },
    volatile: ['list_order', 'place', 'class_place', 'gap_ms'],
  },
  vehicle_states: {
    name: 'vehicle_states',
    columns: {
      key: 'text',
      event_id: 'uuid',
      entry_id: 'uuid',
      state: 'text',
      since: 'time',
      last_record_at: 'time',
      tracker_state: 'text',
      tracker_state_since: 'time',
    },
    volatile: undefined,
  },
} as const satisfies Record<string, ResultTable>;

export type ResultTableName = keyof typeof resultTables;
export type RowsByTable = Readonly<Record<ResultTableName, readonly TableRow[]>>;

/** All results of an event. */
export function tableRows(
  entries: readonly EntryResults[],
  classification: Classification,
): Omit<RowsByTable, 'vehicle_states'> {
  return {
    passings: entries.flatMap(({ passings }) => passings.map(passingColumns)),
    waypoint_results: entries.flatMap(({ waypoints }) => waypoints.map(waypointColumns)),
    zone_episodes: entries.flatMap(({ zoneEpisodes }) => zoneEpisodes.map(episodeColumns)),
    incidents: entries.flatMap(({ incidents }) => incidents.map(incidentColumns)),
    // Of the classification: with derived times.
    stage_results: classification.stages.map(stageColumns),
    classification: classification.rows.map(classificationColumns),
  };
}

type Common = Pick<
  PassingRow | WaypointRow | ZoneEpisodeRow | IncidentRow | StageResultRow | ClassificationRow,
  'key' | 'eventId' | 'entryId' | 'stageId' | 'rule' | 'ruleVersion' | 'confidence' | 'isDecided'
>;

function commonColumns(row: Common) {
  return {
    key: row.key,
    event_id: row.eventId,
    entry_id: row.entryId,
    stage_id: row.stageId ?? null,
    rule: row.rule,
    rule_version: row.ruleVersion,
    confidence: row.confidence,
    is_decided: row.isDecided,
  };
}

function seenColumns(row: Common & { readonly lap: number; readonly fixes: BracketingFixes | undefined }) {
  return {
    ...commonColumns(row),
    lap: row.lap,
    device_id: row.fixes?.deviceId ?? null,
    before_at: time(row.fixes?.beforeAtMs),
    after_at: time(row.fixes?.afterAtMs),
  };
}

function passingColumns(row: PassingRow): TableRow {
  return {
    ...seenColumns(row),
    gate_id: row.gateId,
    direction: row.direction,
    passed_at: time(row.atMs),
    uncertainty_ms: row.uncertaintyMs,
    verdict: row.verdict,
  };
}

function waypointColumns(row: WaypointRow): TableRow {
  return {
    ...seenColumns(row),
    waypoint_id: row.waypointId,
    verdict: row.verdict,
    passed_at: time(row.atMs),
    uncertainty_ms: row.uncertaintyMs ?? null,
    distance_m: row.distanceM ?? null,
    penalty_ms: row.penaltyMs,
  };
}

function episodeColumns(row: ZoneEpisodeRow): TableRow {
  return {
    ...seenColumns(row),
    zone_id: row.zoneId,
    from_at: time(row.fromMs),
    until_at: time(row.untilMs),
    maximum_kmh: row.maximumKmh,
    duration_ms: row.durationMs,
    gained_m: row.gainedM,
    gained_ms: row.gainedMs,
    penalty_ms: row.penaltyMs,
    verdict: row.verdict,
  };
}

function incidentColumns(row: IncidentRow): TableRow {
  return {
    ...seenColumns(row),
    from_at: time(row.fromMs),
    until_at: time(row.untilMs),
    is_open: row.isOpen,
    latitude: row.latitude,
    longitude: row.longitude,
    is_position_good: row.isPositionGood,
  };
}

function stageColumns(row: StageResultRow): TableRow {
  return {
    ...commonColumns(row),
    status: row.status,
    start_at: time(row.startAtMs),
    finish_at: time(row.finishAtMs),
    elapsed_ms: row.elapsedMs ?? null,
    uncertainty_ms: row.uncertaintyMs ?? null,
    penalty_ms: row.penaltyMs,
    total_ms: row.totalMs ?? null,
    is_to_be_derived: row.isToBeDerived,
    is_derived: row.isDerived,
    gates_passed: row.gatesPassed,
    last_gate_at: time(row.lastGateAtMs),
    missed_waypoints: row.missedWaypoints,
    progress_m: row.progressM ?? null,
    is_off_track: row.isOffTrack,
  };
}

function classificationColumns(row: ClassificationRow): TableRow {
  return {
    ...commonColumns(row),
    list_order: row.position,
    place: row.place ?? null,
    class_place: row.classPlace ?? null,
    status: row.status,
    stages_finished: row.stagesFinished,
    total_ms: row.totalMs ?? null,
    gap_ms: row.gapMs ?? null,
    is_derived: row.isDerived,
  };
}

function time(ms: number | undefined): number | null {
  return ms === undefined ? null : Math.round(ms);
}
