import { askDirectus, describeAnswer } from './ask-directus.ts';
import { postgresIsDown, type Reading } from './connect.ts';
import { directusColumns } from './directus-columns.ts';
import { type Checks, failed, note, ok, type Finding } from './finding.ts';

const howToCreate = './run directus-setup, then ./run migrate (deploy/directus/README.md)';

/**
 * Whether Directus answers, and whether the database has its collections with the fields that the gateway reads.
 *
 * @param read undefined if Postgres does not answer.
 */
export function directusChecks(baseUrl: string, read: Reading | undefined): Checks {
  return {
    reachable: async () => [await checkPing(baseUrl)],
    'events without login': async () => [await checkItems(baseUrl)],
    collections: async () =>
      read === undefined
        ? [note('collections', postgresIsDown)]
        : [await checkColumns(read), await checkEventId(read)],
  };
}

async function checkPing(baseUrl: string): Promise<Finding> {
  const check = 'reachable';
  const answer = await askDirectus(baseUrl, '/server/ping');
  if (answer.answered && answer.status === 200 && answer.text === 'pong') return ok(check, baseUrl);
  const found =
    answer.answered && answer.status === 200
      ? 'something else than Directus answers'
      : describeAnswer(answer);
  return failed(check, `${baseUrl}: ${found}`, 'Start Directus, or correct DIRECTUS_BASE_URL');
}

/** Without a login Directus refuses events, unless they are public. */
async function checkItems(baseUrl: string): Promise<Finding> {
  const check = 'events without login';
  const answer = await askDirectus(baseUrl, '/items/events?fields=id&limit=1');
  if (!answer.answered) return note(check, describeAnswer(answer));
  if (answer.status === 200 && answer.body !== undefined) return ok(check, 'the public policy reads events');
  if (answer.status === 403 && answer.errorCode === 'FORBIDDEN') return ok(check, 'refused');
  if (answer.errorCode === 'RESOURCE_RESTRICTED') {
    return failed(
      check,
      describeAnswer(answer),
      'Enter a licence: Directus 12 without one refuses everybody',
    );
  }
  if (answer.status === 429)
    return failed(check, describeAnswer(answer), 'docs/operations.md#livedirectusfails');
  return failed(check, describeAnswer(answer), 'Read the log of Directus');
}

async function checkColumns(read: Reading): Promise<Finding> {
  const requested = JSON.stringify(directusColumns);
  const missing = await read(
    (sql) => sql<{ table: string; column: string }[]>`
      select "table", "column"
        from json_to_recordset(${requested}::text::json) as r ("table" text, "column" text)
       where not exists (
         select from pg_attribute
          where attrelid = to_regclass("table") and attname = "column" and not attisdropped)`,
  );
  const check = 'collections';
  if (missing.length === 0) return ok(check, 'events, entries, entry_devices, devices');
  const list = missing.map(({ table, column }) => `${table}.${column}`).join(', ');
  return failed(check, `the database at POSTGRES_URL lacks ${list}`, howToCreate);
}

/** The gateway's topics have UUIDs only: an event with another id can never be watched. */
async function checkEventId(read: Reading): Promise<Finding> {
  const check = 'events.id';
  const [column] = await read(
    (sql) => sql<{ type: string }[]>`
      select format_type(atttypid, atttypmod) as type from pg_attribute
       where attrelid = to_regclass('events') and attname = 'id' and not attisdropped`,
  );
  if (column === undefined) return note(check, 'is missing');
  return column.type === 'uuid'
    ? ok(check, 'uuid')
    : failed(
        check,
        `is ${column.type}: topics need a UUID`,
        'Create events with a generated UUID as primary key',
      );
}
