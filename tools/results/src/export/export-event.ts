import { loadRace } from '@app/processor/load-race';
import type { Stage } from '@app/race/course';
import type { Sql, TransactionSql } from 'postgres';
import type { Format } from '../read-arguments.ts';
import { Refusal, unknownEvent } from '../refusal.ts';
import { csvFiles } from './csv-files.ts';
import { gpxFiles } from './gpx-files.ts';
import { jsonDocument } from './json-document.ts';
import { assertNew, writeFolder, writeNewFile } from './write-output.ts';

export interface Exported {
  /** Relative to the output where that is a directory. */
  readonly files: readonly string[];
  /** Numbers of entries without a good fix, of which a GPX export has no file. */
  readonly withoutFixes: readonly string[];
}

/**
 * Writes the results or tracks of an event to a new file or directory: all of it, or nothing. Everything is read in one
 * transaction, so that the tables fit together while results change.
 *
 * @throws {Refusal} the event or a stage does not exist, there is nothing to export, or the output exists
 */
export async function exportEvent(
  sql: Sql,
  asked: {
    readonly eventId: string;
    readonly format: Format;
    readonly stages: readonly string[];
    readonly output: string;
  },
): Promise<Exported> {
  const { eventId, format, output } = asked;
  await assertNew(output);
  const withoutFixes: string[] = [];
  let files: readonly string[] = [];
  await sql.begin('isolation level repeatable read read only', async (transaction) => {
    await transaction.unsafe(`set local timezone = 'UTC'`);
    const loaded = await loadRace(transaction, eventId);
    if (!loaded) throw unknownEvent(eventId);
    const { race } = loaded;
    const exported = {
      race,
      stages: asked.stages.length === 0 ? undefined : findStages(race.stages, asked.stages),
    };
    if (format !== 'gpx') await assertResults(transaction, eventId);
    if (format === 'json') await writeNewFile(output, jsonDocument(transaction, exported));
    if (format === 'csv') files = await writeFolder(output, csvFiles(transaction, exported));
    if (format === 'gpx') files = await writeFolder(output, gpxFiles(transaction, exported, withoutFixes));
  });
  return { files, withoutFixes };
}

function findStages(all: readonly Stage[], asked: readonly string[]): readonly Stage[] {
  return asked.map((wanted) => {
    const found = all.filter(({ id, name }) => id === wanted.toLowerCase() || name === wanted);
    const [stage] = found;
    if (stage && found.length === 1) return stage;
    const names = all.map(({ name }) => JSON.stringify(name)).join(', ');
    throw new Refusal(
      found.length === 0
        ? `the event has no stage ${JSON.stringify(wanted)}; its stages are ${names}`
        : `the event has ${found.length} stages called ${JSON.stringify(wanted)}; give the id: ${found.map(({ id }) => id).join(', ')}`,
    );
  });
}

async function assertResults(sql: TransactionSql, eventId: string): Promise<void> {
  const found = await sql.unsafe('select from stage_results where event_id = $1::uuid limit 1', [eventId]);
  if (found.length > 0) return;
  throw new Refusal(`the event has no results. Compute them with: ./run results evaluate --event ${eventId}`);
}
