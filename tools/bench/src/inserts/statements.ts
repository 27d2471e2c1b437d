import type { Fix } from '@app/processor/fix';
import { insertPositions } from '@app/processor/store/insert-positions';
import type postgres from 'postgres';

/** Inserts a batch, idempotent by `(device_id, ts)`; all statements leave the same rows. */
export type InsertStatement = (sql: postgres.Sql, rows: readonly Fix[]) => Promise<unknown>;

const columns =
  'device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality, attributes';
const conflict = 'on conflict (device_id, ts) do nothing';

const recordsetSql = `
  insert into positions (${columns})
  select ${columns} from json_to_recordset($1::text::json) as row (
    device_id text, ts timestamptz, latitude float8, longitude float8, altitude real, angle real, speed real,
    satellites smallint, priority smallint, codec text, quality smallint, attributes jsonb)
  ${conflict}`;

const driverArraysSql = `
  insert into positions (${columns})
  select device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality,
         attributes::jsonb
  from unnest($1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::real[], $6::real[], $7::real[],
              $8::smallint[], $9::smallint[], $10::text[], $11::smallint[], $12::text[])
    as row (${columns})
  ${conflict}`;

const payloadSql = `
  insert into positions (${columns})
  select device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality,
         payload::jsonb -> 'attributes'
  from rows from (
    unnest($1::text::text[], $2::text::timestamptz[], $3::text::float8[], $4::text::float8[], $5::text::real[],
           $6::text::real[], $7::text::real[], $8::text::smallint[], $9::text::smallint[], $10::text::text[],
           $11::text::smallint[]),
    string_to_table($12::text, E'\\x1e')
  ) as row (device_id, ts, latitude, longitude, altitude, angle, speed, satellites, priority, codec, quality, payload)
  ${conflict}`;

export const insertStatements = {
  'array literals, attributes as one string (the processor)': insertPositions,
  'arrays encoded by the driver': (sql, rows) =>
    sql.unsafe(driverArraysSql, columnsOf(rows).concat([rows.map(attributesOf)]), { prepare: true }),
  'array literals, payload passed through': (sql, rows) =>
    sql.unsafe(payloadSql, [...columnsOf(rows).map(arrayLiteral), rows.map(payloadOf).join('\u001e')], {
      prepare: true,
    }),
  'one JSON string': (sql, rows) =>
    sql.unsafe(recordsetSql, [`[${rows.map(recordOf).join(',')}]`], { prepare: true }),
  'multi-row VALUES': (sql, rows) => {
    const values = columnsOf(rows).concat([rows.map(attributesOf)]);
    const width = values.length;
    const tuple = (row: number): string =>
      values.map((_, column) => `$${row * width + column + 1}`).join(',');
    const tuples = rows.map((_, row) => `(${tuple(row)})`);
    const parameters = rows.flatMap((_, row) => values.map((column) => column[row] ?? null));
    return sql.unsafe(
      `insert into positions (${columns}) values ${tuples.join(',')} ${conflict}`,
      parameters,
      { prepare: true },
    );
  },
} satisfies Readonly<Record<string, InsertStatement>>;

export type InsertStatementName = keyof typeof insertStatements;

export const insertStatementNames = Object.keys(insertStatements).filter(
  (name): name is InsertStatementName => Object.hasOwn(insertStatements, name),
);

/** By column, without the attributes. */
function columnsOf(rows: readonly Fix[]): (string | number)[][] {
  return [
    rows.map(({ position }) => position.deviceId),
    rows.map(({ position }) => new Date(position.fixAtMs).toISOString()),
    rows.map(({ position }) => position.latitude),
    rows.map(({ position }) => position.longitude),
    rows.map(({ position }) => position.altitudeM),
    rows.map(({ position }) => position.courseDeg),
    rows.map(({ position }) => position.speedKmh),
    rows.map(({ position }) => position.satellites),
    rows.map(({ position }) => position.priority),
    rows.map(({ codec }) => codec),
    rows.map(({ quality }) => quality),
  ];
}

function arrayLiteral(values: readonly (string | number)[]): string {
  return `{${values.join(',')}}`;
}

function attributesOf({ position }: Fix): string {
  return position.attributesJson;
}

function payloadOf({ entry }: Fix): string {
  return entry.fields.at(-1)?.toString('utf8') ?? '';
}

function recordOf({ position, codec, quality }: Fix): string {
  const { fixAtMs, latitude, longitude, altitudeM, courseDeg, speedKmh, satellites, priority } = position;
  return (
    `{"device_id":"${position.deviceId}","ts":"${new Date(fixAtMs).toISOString()}","latitude":${latitude},` +
    `"longitude":${longitude},"altitude":${altitudeM},"angle":${courseDeg},"speed":${speedKmh},` +
    `"satellites":${satellites},"priority":${priority},"codec":"${codec}","quality":${quality},` +
    `"attributes":${position.attributesJson}}`
  );
}
