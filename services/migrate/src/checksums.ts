import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { MigrateError } from './migrate-error.ts';

export interface MigrationFile {
  /** Without `.sql`: `0001_positions`. */
  readonly name: string;
  readonly sha256: string;
}

/** The migration files of a folder in order. Rejects other files and repeated numbers. */
export async function readMigrationFiles(folder: string): Promise<readonly MigrationFile[]> {
  const entries = (await readdir(folder)).toSorted();
  const files: MigrationFile[] = [];
  for (const entry of entries) {
    if (!/^\d{4}_[a-z0-9_]+\.sql$/.test(entry)) {
      throw new MigrateError(
        `${join(folder, entry)} is not a migration; files must be named like 0001_name.sql`,
      );
    }
    if (files.at(-1)?.name.slice(0, 4) === entry.slice(0, 4)) {
      throw new MigrateError(`${join(folder, entry)} has the number of another migration`);
    }
    // Without CR, so that a checkout on Windows has the same checksum.
    const text = (await readFile(join(folder, entry), 'utf8')).replaceAll('\r\n', '\n');
    files.push({
      name: entry.slice(0, -'.sql'.length),
      sha256: createHash('sha256').update(text).digest('hex'),
    });
  }
  if (files.length === 0) throw new MigrateError(`${folder} contains no migrations`);
  return files;
}

/**
 * Compares the files with the checksums of applied migrations and stores those of pending ones. They are stored before the
 * migrations run, so that a crash leaves no applied migration without a checksum. Requires the migration lock.
 *
 * @throws {MigrateError} if an applied file has changed.
 */
export async function checkAgainstApplied(client: Client, files: readonly MigrationFile[]): Promise<void> {
  await client.query(
    'create table if not exists migration_checksums (name text primary key, sha256 text not null)',
  );
  const applied = await readApplied(client);
  const changed = files.filter((file) => {
    const sha256 = applied.get(file.name);
    return sha256 !== undefined && sha256 !== file.sha256;
  });
  if (changed.length > 0) {
    throw new MigrateError(
      `Changed after it was applied to this database: ${changed.map((file) => file.name).join(', ')}. ` +
        'Restore the file and make the change in a new one',
    );
  }
  for (const file of files.filter((each) => !applied.has(each.name))) {
    await client.query(
      `insert into migration_checksums (name, sha256) values ($1, $2)
       on conflict (name) do update set sha256 = excluded.sha256`,
      [file.name, file.sha256],
    );
  }
}

/** Known checksums of applied migrations, by name. */
async function readApplied(client: Client): Promise<ReadonlyMap<string, string>> {
  const { rows: tables } = await client.query<{ there: boolean }>(
    "select to_regclass('public.pgmigrations') is not null as there",
  );
  if (tables[0]?.there !== true) return new Map();
  const { rows } = await client.query<{ name: string; sha256: string }>(
    'select name, sha256 from public.pgmigrations join migration_checksums using (name)',
  );
  return new Map(rows.map((row) => [row.name, row.sha256]));
}
