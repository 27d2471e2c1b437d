import { listRowChanges, type RowChange } from '@app/processor/evaluator/row-changes';
import { resultTables } from '@app/processor/evaluator/result-tables';
import type { Evaluation } from './evaluate-event.ts';

/** The summary is for people: a page of changes is more than anybody reads. The history has all of them. */
const maxChangesListed = 100;

export function printEvaluation(evaluation: Evaluation, seconds: number): readonly string[] {
  const { event, entries, problems, changes, known, revision } = evaluation;
  const isDryRun = revision === undefined;
  const count = (countOf: (entry: (typeof entries)[number]) => number): number =>
    entries.reduce((total, entry) => total + countOf(entry), 0);
  const listed = changes === undefined ? [] : listRowChanges(changes, known);
  return [
    `event ${event.name === '' ? event.id : event.name}: ${entries.length} entries, ` +
      `${count(({ passings }) => passings.length)} passings, ${count(({ stages }) => stages.length)} stage results`,
    ...problems.map(({ message }) => `problem: ${message}`),
    ...(isDryRun
      ? listed.slice(0, maxChangesListed).map((change) => describeChange(change, evaluation.numbers))
      : []),
    ...(isDryRun && listed.length > maxChangesListed
      ? [`… and ${listed.length - maxChangesListed} more changes`]
      : []),
    ...(listed.length === 0 ? ['the tables hold these results already'] : countChanges(listed, isDryRun)),
    `${isDryRun ? 'nothing was written' : `revision ${revision.revision}`}; ${problems.length} problems; took ${seconds.toFixed(1)} s`,
  ];
}

function countChanges(listed: readonly RowChange[], isDryRun: boolean): readonly string[] {
  const verb = isDryRun ? 'would be ' : '';
  return Object.values(resultTables).flatMap(({ name }) => {
    const ofTable = listed.filter(({ table }) => table === name);
    if (ofTable.length === 0) return [];
    const added = ofTable.filter(({ before }) => before === undefined).length;
    const removed = ofTable.filter(({ after }) => after === undefined).length;
    const changed = ofTable.length - added - removed;
    return [`${name}: ${verb}${added} added, ${changed} changed, ${removed} removed`];
  });
}

function describeChange({ table, key, before, after }: RowChange, numbers: Evaluation['numbers']): string {
  const entryId = String((after ?? before)?.['entry_id']);
  // The key names event and entry first.
  const what = `${table} of entry ${numbers.get(entryId) ?? entryId} (${key.split('/').slice(2).join('/')})`;
  if (before === undefined) return `add ${what}`;
  if (after === undefined) return `remove ${what}`;
  const differences = Object.keys(after)
    .filter((column) => before[column] !== after[column])
    .map((column) => `${column} ${show(column, before[column])} → ${show(column, after[column])}`);
  return `change ${what}: ${differences.join(', ')}`;
}

function show(column: string, value: string | number | boolean | null | undefined): string {
  return column.endsWith('_at') && typeof value === 'number' ? new Date(value).toISOString() : String(value);
}
