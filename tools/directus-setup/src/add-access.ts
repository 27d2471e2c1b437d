import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { DirectusRefusal, type DirectusApi } from './directus-api.ts';

const file = new URL('../../../deploy/directus/access.json', import.meta.url);

const accessFile = z.strictObject({
  policies: z.array(
    z.looseObject({
      id: z.uuid(),
      name: z.string(),
      permissions: z.array(z.record(z.string(), z.unknown())),
    }),
  ),
  roles: z.array(z.looseObject({ id: z.uuid(), name: z.string(), policies: z.array(z.uuid()) })),
  /** The policy of those who have not logged in. */
  publicPolicy: z.uuid(),
});

interface Options {
  readonly isPublic: boolean;
  readonly print: (line: string) => void;
}

/** Adds the policies and roles whose ids are missing; returns the number of refused permissions. */
export async function addAccess(api: DirectusApi, { isPublic, print }: Options): Promise<number> {
  const { policies, roles, publicPolicy } = accessFile.parse(JSON.parse(await readFile(file, 'utf8')));
  let refused = 0;
  for (const { permissions, ...policy } of policies) {
    if (!(await exists(api, 'policies', { id: policy.id }))) {
      print(`adding policy ${policy.name}`);
      await api('POST', '/policies', policy);
    }
    for (const permission of permissions) {
      const { collection, action } = permission;
      if (await exists(api, 'permissions', { policy: policy.id, collection, action })) continue;
      const isAdded = await addPermission(api, { ...permission, policy: policy.id });
      if (isAdded) continue;
      refused += 1;
      print(
        `refused: ${policy.name} may not ${String(action)} ${String(collection)}. Directus 12 needs a licence for rules ` +
          'and lists of fields; enter it and run this again',
      );
    }
  }
  for (const { policies: policyIds, ...role } of roles) {
    if (await exists(api, 'roles', { id: role.id })) continue;
    print(`adding role ${role.name}`);
    await api('POST', '/roles', role);
    for (const policy of policyIds) await api('POST', '/access', { role: role.id, policy });
  }
  if (isPublic && !(await exists(api, 'access', { policy: publicPolicy }))) {
    print('letting everybody watch published events');
    await api('POST', '/access', { role: null, user: null, policy: publicPolicy });
  }
  return refused;
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
  values: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const query = new URLSearchParams({ limit: '1' });
  for (const [name, value] of Object.entries(values)) query.set(`filter[${name}][_eq]`, String(value));
  const found = await api('GET', `/${path}?${query.toString()}`);
  return Array.isArray(found) && found.length > 0;
}
