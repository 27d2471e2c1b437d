import type { Reading } from './connect.ts';
import { failed, note, ok, type Finding } from './finding.ts';

interface Policy {
  readonly name: string;
  readonly isAdmin: boolean;
  /** Whether it reads events at all; the others are null without it. */
  readonly readsEvents: boolean;
  readonly fields: string | null;
  readonly rule: string | null;
}

/** What the policies of a user, their roles and the public let them read of `events`. */
export async function explainPolicies(read: Reading, userId: string | undefined): Promise<Finding> {
  const [table] = await read(
    (sql) => sql<{ exists: boolean }[]>`select to_regclass('directus_access') is not null as exists`,
  );
  if (table?.exists !== true) {
    return failed('policies', 'the database at POSTGRES_URL has no policies', 'Use Directus 11 or newer');
  }
  const policies = await read(
    (sql) => sql<Policy[]>`
      with recursive user_role as (
        select role as id from directus_users where id::text = ${userId ?? ''} and role is not null
        union
        select parent from directus_roles join user_role using (id) where parent is not null
      )
      select policy.name, policy.admin_access as "isAdmin", permission.id is not null as "readsEvents",
             permission.fields::text as fields, permission.permissions::text as rule
        from directus_access as access
        join directus_policies as policy on policy.id = access.policy
        left join directus_permissions as permission
          on permission.policy = policy.id and collection = 'events' and action = 'read'
       where access."user"::text = ${userId ?? ''}
          or access.role in (select id from user_role)
          or (access.role is null and access."user" is null)`,
  );
  return judgePolicies(policies);
}

function judgePolicies(policies: readonly Policy[]): Finding {
  const check = 'policies';
  const admin = policies.find(({ isAdmin }) => isAdmin);
  if (admin !== undefined) return ok(check, `administrator, by ${admin.name}`);
  const readers = policies.filter(({ readsEvents }) => readsEvents);
  if (readers.length === 0) {
    const names = policies.map(({ name }) => name).join(', ');
    return failed(
      check,
      policies.length === 0 ? 'the user has none' : `none reads events: ${names}`,
      'Give the role a policy that may read events (deploy/directus/README.md)',
    );
  }
  const withId = readers.filter(({ fields }) =>
    (fields ?? '').split(',').some((each) => ['*', 'id'].includes(each)),
  );
  if (withId.length === 0) {
    return failed(
      check,
      `the field id of events is not readable by ${readers.map(({ name }) => name).join(', ')}`,
      'Add id to the fields of its read permission',
    );
  }
  const open = withId.find(({ rule }) => rule === null || rule === '{}');
  if (open !== undefined) return ok(check, `${open.name} reads all events`);
  const rules = withId.map(({ name, rule }) => `${name}: ${rule ?? ''}`).join('; ');
  return note(check, `the event must match a row rule. ${rules}`);
}
