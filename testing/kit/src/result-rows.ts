import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { Sql } from 'postgres';

/** A row of a result table; times are epoch milliseconds. */
export type TestResultRow = Readonly<Record<string, string | number | boolean | null>> & {
  readonly key: string;
};

type RowsByTable = Readonly<Record<string, readonly TestResultRow[]>>;

/** How the processor writes and announces a revision, or fails to. */
export interface TestRevision {
  readonly set?: RowsByTable;
  /** Keys by table. */
  readonly removed?: Readonly<Record<string, readonly string[]>>;
  /** `without changes`: the tables have to be read. Default: with them. */
  readonly announced?: 'with changes' | 'without changes' | 'not';
}

/** Writes the next revision of an event's results as a processor does; returns its number. */
export async function writeRevision(
  { sql, redis }: { readonly sql: Sql; readonly redis: Redis },
  eventId: string,
  { set = {}, removed = {}, announced = 'with changes' }: TestRevision,
): Promise<number> {
  const [written] = await sql.begin(async (transaction) => {
    for (const [table, keys] of Object.entries(removed)) {
      await transaction`delete from ${transaction(table)} where key in ${transaction([...keys])}`;
    }
    for (const [table, rows] of Object.entries(set)) {
      for (const row of rows) {
        await transaction`delete from ${transaction(table)} where key = ${row.key}`;
        await transaction.unsafe(
          `insert into ${table} select * from json_populate_record(null::${table}, $1::text::json)`,
          [JSON.stringify({ ...toColumns(row), computed_at: new Date() })],
        );
      }
    }
    return transaction<{ revision: number; us: string }[]>`
      insert into evaluations as held (event_id, holder, revision) values (${eventId}, 'test', 1)
      on conflict (event_id) do update set revision = held.revision + 1, revised_at = clock_timestamp()
      returning revision::float8 as revision, (extract(epoch from revised_at) * 1000000)::bigint::text as us`;
  });
  if (written === undefined) throw new Error('no revision was written');
  if (announced === 'not') return written.revision;
  const tables = new Set([...Object.keys(set), ...Object.keys(removed)]);
  const changes = Object.fromEntries(
    [...tables].map((table) => [table, { rows: set[table] ?? [], gone: removed[table] ?? [] }]),
  );
  await redis.xadd(
    `results:${eventId}`,
    '*',
    'revision',
    written.revision,
    'revised_at_us',
    written.us,
    ...(announced === 'with changes' ? ['changes', JSON.stringify(changes)] : []),
  );
  return written.revision;
}

/** Removes an event's results, and what was announced of them. */
export async function deleteResults(
  { sql, redis }: { readonly sql: Sql; readonly redis: Redis },
  eventId: string,
): Promise<void> {
  for (const table of ['stage_results', 'incidents', 'vehicle_states', 'evaluations']) {
    await sql`delete from ${sql(table)} where event_id = ${eventId}`;
  }
  await redis.del(`results:${eventId}`);
}

/** A row of `stage_results` of an entry that is on its way. */
export function stageResult(eventId: string, entryId: string, progressM: number): TestResultRow {
  return {
    ...commonColumns(eventId, entryId, 'stage'),
    status: 'on_stage',
    penalty_ms: 0,
    total_ms: null,
    is_to_be_derived: false,
    is_derived: false,
    gates_passed: 1,
    missed_waypoints: 0,
    progress_m: progressM,
    is_off_track: false,
  };
}

/** A row of `incidents`: an open SOS. */
export function openSos(eventId: string, entryId: string): TestResultRow {
  return {
    ...commonColumns(eventId, entryId, 'sos'),
    lap: 1,
    device_id: '359421000012345',
    from_at: 1_795_492_274_216,
    until_at: 1_795_492_274_216,
    is_open: true,
    latitude: 46.5,
    longitude: 8.25,
    is_position_good: true,
  };
}

/** A row of `vehicle_states`: an SOS of a vehicle whose tracker is silent. */
export function sosState(eventId: string, entryId: string): TestResultRow {
  return {
    key: `${eventId}/${entryId}/state`,
    event_id: eventId,
    entry_id: entryId,
    state: 'sos',
    since: 1_795_492_274_216,
    last_record_at: 1_795_492_274_000,
    tracker_state: 'silent',
    tracker_state_since: 1_795_492_200_000,
  };
}

function commonColumns(eventId: string, entryId: string, rule: string) {
  return {
    key: `${eventId}/${entryId}/${rule}/1`,
    event_id: eventId,
    entry_id: entryId,
    stage_id: randomUUID(),
    rule,
    rule_version: 1,
    confidence: 'high',
    is_decided: false,
  };
}

function toColumns(row: TestResultRow): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      /(?:_at|since)$/u.test(name) && typeof value === 'number' ? new Date(value) : value,
    ]),
  );
}
