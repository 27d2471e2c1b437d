import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DirectusRefusal, type DirectusApi } from './directus-api.ts';

const file = new URL('../../../deploy/directus/access.json', import.meta.url);

const accessFile = z.strictObject({
  policies: z.array(
    z.looseObject({
      id: z.uuid(),
      name: z.string(),
      permissions: z.array(z.looseObject({ collection: z.string(), action: z.string() })),
    }),
  ),
  roles: z.array(z.looseObject({ id: z.uuid(), name: z.string(), policies: z.array(z.uuid()) })),
  /** The policy of those who have not logged in. */
  publicPolicy: z.uuid(),
});

type AccessFile = z.infer<typeof accessFile>;

interface Options {
  readonly isPublic: boolean;
  /** Adds also what an administrator may have removed on purpose. */
  readonly isRestoring: boolean;
  /** Collections that this run has added: nobody can have removed a permission on them. */
  readonly added: ReadonlySet<string>;
  readonly print: (line: string) => void;
}

/**
 * Adds the policies and roles whose ids are missing, and completes those that have nothing yet, as after an interruption;
 * returns the number of refused permissions. What is missing of others may have been removed on purpose: it is printed.
 */
export async function addAccess(api: DirectusApi, options: Options): Promise<number> {
  const { isPublic, print } = options;
  const { policies, roles, publicPolicy } = accessFile.parse(JSON.parse(await readFile(file, 'utf8')));
  let refused = 0;
  for (const policy of policies) refused += await addPolicy(api, policy, options);
  for (const role of roles) await addRole(api, role, options);
  const ofPublic = { role: null, user: null, policy: publicPolicy };
  if (isPublic && !(await exists(api, 'access', ofPublic))) {
    print('letting everybody watch published events');
    await api('POST', '/access', ofPublic);
  }
  return refused;
}

async function addPolicy(
  api: DirectusApi,
  { permissions, ...policy }: AccessFile['policies'][number],
  { isRestoring, added, print }: Options,
): Promise<number> {
  if (!(await exists(api, 'policies', { id: policy.id }))) {
    print(`adding policy ${policy.name}`);
    await api('POST', '/policies', policy);
  }
  const hasAny = await exists(api, 'permissions', { policy: policy.id });
  let refused = 0;
  for (const permission of permissions) {
    const { collection, action } = permission;
    if (await exists(api, 'permissions', { policy: policy.id, collection, action })) continue;
    const what = `${action} ${collection}`;
    if (hasAny && !isRestoring && !added.has(collection)) {
      print(
        `missing: ${policy.name} may not ${what}; unless this is on purpose, add it with --restore-access`,
      );
    } else if (await addPermission(api, { ...permission, policy: policy.id })) {
      print(`adding ${policy.name} may ${what}`);
    } else {
      refused += 1;
      print(
        `refused: ${policy.name} may not ${what}. Directus 12 needs a licence for rules and lists of fields; enter it and run this again`,
      );
    }
  }
  return refused;
}

async function addRole(
  api: DirectusApi,
  { policies, ...role }: AccessFile['roles'][number],
  { isRestoring, print }: Options,
): Promise<void> {
  if (!(await exists(api, 'roles', { id: role.id }))) {
    print(`adding role ${role.name}`);
    await api('POST', '/roles', role);
  }
  const hasAny = await exists(api, 'access', { role: role.id });
  for (const policy of policies) {
    const access = { role: role.id, policy };
    if (await exists(api, 'access', access)) continue;
    if (hasAny && !isRestoring) {
      print(
        `missing: ${role.name} has no policy ${policy}; unless this is on purpose, add it with --restore-access`,
      );
    } else {
      print(`adding policy ${policy} to role ${role.name}`);
      await api('POST', '/access', access);
    }
  }
}

/** False if Directus refuses it for want of a licence. */
async function addPermission(api: DirectusApi, permission: object): Promise<boolean> {
  try {
    await api('POST', '/permissions', permission);
    return true;
  } catch (error) {
    if (error instanceof DirectusRefusal && error.code === 'RESOURCE_RESTRICTED') return false;
    throw error;
  }
}

async function exists(
  api: DirectusApi,
  path: string,
  values: Readonly<Record<string, string | null>>,
): Promise<boolean> {
  const query = new URLSearchParams({ limit: '1' });
  for (const [name, value] of Object.entries(values)) {
    if (value === null) query.set(`filter[${name}][_null]`, 'true');
    else query.set(`filter[${name}][_eq]`, value);
  }
  const found = await api('GET', `/${path}?${query.toString()}`);
  return Array.isArray(found) && found.length > 0;
}
