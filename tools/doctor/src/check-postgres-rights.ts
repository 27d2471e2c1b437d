import type { Reading } from './connect.ts';
import { directusColumns, optionalColumns } from './directus-columns.ts';
import { failed, note, ok, type Finding } from './finding.ts';

interface Right {
  readonly role: string;
  readonly relation: string;
  /** Null for a right on the whole table. */
  readonly column: string | null;
  readonly privilege: string;
}

const resultTables = [
  'passings',
  'waypoint_results',
  'zone_episodes',
  'incidents',
  'stage_results',
  'classification',
  'vehicle_states',
];

const rights: readonly Right[] = [
  { role: 'tracking_processor', relation: 'positions', column: null, privilege: 'select' },
  { role: 'tracking_processor', relation: 'positions', column: null, privilege: 'insert' },
  { role: 'tracking_processor', relation: 'positions_past_limit', column: null, privilege: 'select' },
  { role: 'tracking_processor', relation: 'positions_past_limit', column: null, privilege: 'insert' },
  ...[...resultTables, 'race_problems', 'dirty_entries'].flatMap((relation) =>
    ['select', 'insert', 'update', 'delete'].map((privilege) => ({
      role: 'tracking_processor',
      relation,
      column: null,
      privilege,
    })),
  ),
  ...['select', 'insert', 'update', 'delete'].map((privilege) => ({
    role: 'tracking_processor',
    relation: 'evaluations',
    column: null,
    privilege,
  })),
  { role: 'tracking_processor', relation: 'result_changes', column: null, privilege: 'insert' },
  { role: 'tracking_processor', relation: 'faulty_changes', column: null, privilege: 'select' },
  { role: 'tracking_processor', relation: 'faulty_changes', column: null, privilege: 'delete' },
  { role: 'tracking_processor', relation: 'sos_records', column: null, privilege: 'select' },
  { role: 'tracking_processor', relation: 'faulty_marks', column: 'imei', privilege: 'select' },
  ...['positions', 'evaluations', ...resultTables].map((relation) => ({
    role: 'tracking_gateway',
    relation,
    column: null,
    privilege: 'select',
  })),
  // The gateway's statements do not read events, although the role may.
  ...[...directusColumns, ...optionalColumns]
    .filter(({ table }) => table !== 'events')
    .map(({ table, column }) => ({
      role: 'tracking_gateway',
      relation: table,
      column,
      privilege: 'select',
    })),
];

const pruneFunctions = [
  'delete_old_positions(interval, text, integer)',
  'drop_old_chunks(interval, integer)',
  'delete_old_positions_past_limit(interval, integer)',
];

/** Whether the services' roles and the prune job's have their rights, and a login each. */
export async function checkPostgresRights(read: Reading): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const role of new Set(rights.map((right) => right.role))) {
    findings.push(await checkRole(read, role));
  }
  return [...findings, ...(await checkPruner(read))];
}

/** Nothing where the job's role does not exist: it is optional. */
async function checkPruner(read: Reading): Promise<readonly Finding[]> {
  const role = 'tracking_pruner';
  const functions = JSON.stringify(pruneFunctions);
  const [found] = await read(
    (sql) => sql<{ lacking: number }[]>`
      select count(*) filter (
               where to_regprocedure(name) is not null
                 and not has_function_privilege(rolname, to_regprocedure(name), 'execute')
             )::int as lacking
        from pg_roles, json_array_elements_text(${functions}::text::json) as name
       where rolname = ${role}
       group by rolname`,
  );
  if (found === undefined) return [];
  return [
    found.lacking === 0
      ? ok(role, 'has its rights')
      : failed(
          role,
          `may not execute ${found.lacking} of its functions`,
          'As their owner: select grant_prune_rights()',
        ),
  ];
}

async function checkRole(read: Reading, role: string): Promise<Finding> {
  const [found] = await read(
    (sql) => sql<{ logins: string | null }[]>`
      select (select string_agg(login.rolname, ', ')
                from pg_auth_members join pg_roles as login on login.oid = member
               where roleid = pg_roles.oid and login.rolcanlogin) as logins
        from pg_roles where rolname = ${role}`,
  );
  if (found === undefined) return failed(role, 'does not exist', './run migrate');
  const requested = JSON.stringify(rights.filter((right) => right.role === role));
  // A table or a column that is missing is reported with Directus' collections.
  const missing = await read(
    (sql) => sql<Omit<Right, 'role'>[]>`
      select relation, "column", privilege
        from json_to_recordset(${requested}::text::json) as r (role text, relation text, "column" text, privilege text)
       where to_regclass(relation) is not null
         and case when "column" is null then not has_table_privilege(role, relation, privilege)
                  else exists (select from pg_attribute
                                where attrelid = to_regclass(relation) and attname = "column"
                                  and not has_column_privilege(role, attrelid, attnum, privilege))
             end`,
  );
  if (missing.length > 0) {
    const list = missing.map(({ relation, column, privilege }) =>
      column === null ? `${privilege} on ${relation}` : `${privilege} (${column}) on ${relation}`,
    );
    return failed(
      role,
      `lacks ${list.join(', ')}`,
      `As the owner of ${missing.length === 1 ? 'the table' : 'each table'}: ${grantsOf(role, missing).join('; ')}`,
    );
  }
  return found.logins === null
    ? note(role, 'no login is a member', 'Run the migration job with the passwords, or log in as an owner')
    : ok(role, `${found.logins} has its rights`);
}

/** One statement per table: its owner may be Directus' own role, which may not grant the others. */
function grantsOf(role: string, lacking: readonly Omit<Right, 'role'>[]): readonly string[] {
  const byTable = Map.groupBy(lacking, ({ relation }) => relation);
  return [...byTable].map(([relation, missing]) => {
    const columnsOf = Map.groupBy(missing, ({ privilege }) => privilege);
    const privileges = [...columnsOf].map(([privilege, each]) => {
      const columns = each.flatMap(({ column }) => column ?? []);
      return columns.length === 0 ? privilege : `${privilege} (${columns.join(', ')})`;
    });
    return `grant ${privileges.join(', ')} on ${relation} to ${role}`;
  });
}
