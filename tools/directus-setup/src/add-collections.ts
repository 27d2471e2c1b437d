import { readFile } from 'node:fs/promises';
import { field, type DirectusApi } from './directus-api.ts';

const snapshot = new URL('../../../deploy/directus/snapshot.yaml', import.meta.url);

/**
 * Adds the collections, fields and relations that are missing. `directus schema apply` would also delete all others, and
 * change the system fields of another version than the snapshot's. Returns the names of the collections that were missing.
 */
export async function addCollections(
  api: DirectusApi,
  print: (line: string) => void,
): Promise<readonly string[]> {
  const form = new FormData();
  form.set('file', new Blob([await readFile(snapshot)], { type: 'text/yaml' }), 'snapshot.yaml');
  // `force`: the snapshot may be of another version of Directus.
  const result = await api('POST', '/schema/diff?force=true', form);
  const diff = field(result, 'diff');
  const [collections = [], fields = [], relations = []] = ['collections', 'fields', 'relations'].map((kind) =>
    additions(field(diff, kind)),
  );
  for (const each of [...collections, ...fields]) print(`adding ${nameOf(each)}`);
  if ([collections, fields, relations].every((each) => each.length === 0)) return [];
  await api('POST', '/schema/apply?force=true', {
    hash: field(result, 'hash'),
    diff: { collections, fields, relations, systemFields: [] },
  });
  return collections.map(nameOf);
}

/** A difference within something that exists has a path. */
function additions(differences: unknown): readonly unknown[] {
  const list: readonly unknown[] = Array.isArray(differences) ? differences : [];
  return list.filter((difference) => {
    const changes = field(difference, 'diff');
    const first: unknown = Array.isArray(changes) ? changes[0] : undefined;
    return field(first, 'kind') === 'N' && field(first, 'path') === undefined;
  });
}

function nameOf(difference: unknown): string {
  const [collection, name] = [field(difference, 'collection'), field(difference, 'field')];
  return typeof name === 'string' ? `${String(collection)}.${name}` : String(collection);
}
