import type { DirectusApi } from '@app/directus-setup/directus-api';
import { Refusal } from '../refusal.ts';
import { type ImportPlan, planImport } from './plan-import.ts';
import { readEntries } from './read-entries.ts';
import { readStartList } from './read-start-list.ts';
import type { LocalTime } from './read-time.ts';

/** A request of 100 kB, below the megabyte that Directus accepts by default. */
const itemsPerRequest = 500;

/**
 * Makes an event's entries in Directus those of a start list; returns what it did, in lines. Writes nothing unless the
 * whole list is right. What was interrupted is completed by the next run: entries are matched by number.
 *
 * @throws {Refusal} with a line for each problem of the list
 * @throws {DirectusRefusal}
 */
export async function importStartList(
  api: DirectusApi,
  given: {
    readonly eventId: string;
    readonly bytes: Uint8Array;
    readonly local: LocalTime;
    readonly isDryRun: boolean;
  },
): Promise<readonly string[]> {
  const { eventId, bytes, local, isDryRun } = given;
  const list = readStartList(bytes, local);
  const plan = planImport(eventId, list.entries, await readEntries(api, eventId));
  const problems = [...list.problems, ...plan.problems].toSorted((a, b) => a.line - b.line);
  if (problems.length > 0) {
    const lines = problems.map(({ line, message }) => `line ${line}: ${message}`);
    throw new Refusal([...lines, 'nothing was written; correct the file and run it again'].join('\n'));
  }
  if (!isDryRun) await writePlan(api, plan);
  return describePlan(plan, list.ignoredColumns, isDryRun);
}

/** Devices are free before they are assigned, and entries exist before devices are assigned to them. */
async function writePlan(api: DirectusApi, plan: ImportPlan): Promise<void> {
  for (const ids of pagesOf(plan.unassigned)) await api('DELETE', '/items/entry_devices', ids);
  for (const items of pagesOf(plan.created)) await api('POST', '/items/entries', items);
  for (const items of pagesOf(plan.updated)) await api('PATCH', '/items/entries', items);
  for (const items of pagesOf(plan.assigned)) await api('POST', '/items/entry_devices', items);
}

function pagesOf<T>(items: readonly T[]): readonly (readonly T[])[] {
  const count = Math.ceil(items.length / itemsPerRequest);
  return Array.from({ length: count }, (_, n) => items.slice(n * itemsPerRequest, (n + 1) * itemsPerRequest));
}

function describePlan(plan: ImportPlan, ignored: readonly string[], isDryRun: boolean): readonly string[] {
  const { created, updated, unchanged, notListed, assigned, unassigned } = plan;
  return [
    `entries: ${created.length} created, ${updated.length} updated, ${unchanged.length} unchanged`,
    `devices: ${assigned.length} assigned, ${unassigned.length} removed`,
    ...(notListed.length > 0 ? [`not in the list, left as they are: ${notListed.join(', ')}`] : []),
    ...(ignored.length > 0 ? [`columns that were ignored: ${ignored.join(', ')}`] : []),
    ...(isDryRun ? ['this was a dry run: nothing was written'] : []),
  ];
}
