import { addAccess } from './add-access.ts';
import { addCollections } from './add-collections.ts';
import { addTables } from './add-tables.ts';
import { connectDirectus } from './directus-api.ts';

/**
 * Adds what is missing of deploy/directus to a Directus; returns how many permissions and tables it refused. Prints a line for each
 * thing that it adds. @throws {DirectusRefusal}
 */
export async function setUpDirectus(options: {
  readonly baseUrl: string;
  /** Of an administrator. */
  readonly token: string;
  /** Attaches the public policy. */
  readonly isPublic: boolean;
  /** Adds also what is missing of policies and roles that are in use. */
  readonly isRestoring: boolean;
  readonly print: (line: string) => void;
}): Promise<number> {
  const { print, isPublic, isRestoring } = options;
  const api = connectDirectus(options.baseUrl, options.token);
  const collections = await addCollections(api, print);
  const tables = await addTables(api, print);
  const added = new Set([...collections, ...tables.added]);
  return tables.refused + (await addAccess(api, { isPublic, isRestoring, added, print }));
}
