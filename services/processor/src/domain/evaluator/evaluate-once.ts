import { classify } from '@app/race/classify';
import type { RaceEvent } from '@app/race/course';
import type { EntryResults } from '@app/race/rows';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { listDirty, unmarkDirty } from '../dirty-devices.ts';
import { loadRace } from '../load-race.ts';
import { createBreathing } from './breathe.ts';
import { DeviceTracks, type Reason } from './device-tracks.ts';
import { resultsAsOfMs } from './event-evaluator.ts';
import { type EventLease, renewIfDue } from './event-lease.ts';
import { EntryJudge, failureProblems } from './judge-event.ts';
import { readPositions } from './observe-positions.ts';
import { readAhead } from './read-ahead.ts';
import { prepareInputs } from './race-inputs.ts';
import { RecordArrivals } from './record-arrivals.ts';
import { tableRows } from './result-tables.ts';
import type { Revision } from './revision.ts';
import { type RaceProblem, writeProblems } from './write-problems.ts';
import {
  entryIdOfKey,
  findChanges,
  knownRow,
  type KnownRows,
  readResults,
  type ResultChanges,
  writeResults,
} from './write-results.ts';

const reason: Reason = 'evaluated on request';

/** The results of an event, and how they differ from those in the tables. */
export interface EvaluatedRace {
  readonly event: RaceEvent;
  /** Start numbers by entry id. */
  readonly numbers: ReadonlyMap<string, string>;
  readonly entries: readonly EntryResults[];
  readonly problems: readonly RaceProblem[];
  readonly known: KnownRows;
  /** Undefined if the tables hold the results already. */
  readonly changes: ResultChanges | undefined;
}

/**
 * Computes the results of an event from `positions` and Directus' tables, by the rules of the evaluator and with nothing
 * that is not in these. Writes nothing.
 *
 * @param keepLease is called between pieces of work of at most some seconds
 * @returns undefined if there is no such event
 */
export async function computeResults(
  postgres: PostgresClient,
  eventId: string,
  keepLease: () => Promise<void>,
): Promise<EvaluatedRace | undefined> {
  const loaded = await postgres.run((sql) => loadRace(sql, eventId), 'reading a race');
  if (!loaded) return undefined;
  const { event, checked, deviceIds, problems } = prepareInputs(loaded);
  const { window } = checked;
  const tracks = new DeviceTracks(checked.prepared, window, new RecordArrivals());
  tracks.setDevices(deviceIds, reason, performance.now());
  const breathe = createBreathing();
  for (const deviceId of deviceIds) {
    await keepLease();
    // Nothing is added later, so no announced fix has to be told from a stored one.
    await tracks.observe(deviceId, readAhead(readPositions(postgres, deviceId, window)), '0-0', breathe);
  }
  const judge = new EntryJudge();
  for (const { id } of checked.entries) judge.markDue(id, [reason]);
  const asOfMs = resultsAsOfMs(event.endAtMs, tracks.newestGoodAtMs, Date.now());
  await judge.judge(event, checked, tracks, asOfMs, true, breathe);
  const { results } = judge;
  const rows = tableRows(results, classify(event, checked.course, checked.entries, results));
  await keepLease();
  const known = await readResults(postgres, eventId);
  // They are no results: whoever follows the event writes them.
  const states = [...(known.get('vehicle_states')?.keys() ?? [])]
    .map((key) => knownRow(known, 'vehicle_states', key))
    .filter((row) => row !== undefined);
  return {
    event,
    numbers: new Map(checked.entries.map(({ id, number }) => [id, number])),
    entries: results,
    problems: [...problems, ...failureProblems(checked, results)],
    known,
    changes: findChanges({ ...rows, vehicle_states: states }, known, () => false),
  };
}

/**
 * Evaluates an event once, as the holder of its lease, and writes what differs with its history. Marks of dirty devices
 * that were there before are deleted.
 *
 * @returns the results with the event's revision, which has grown if there were changes; undefined if there is no such event
 * @throws {LeaseLostError} another evaluator has taken the event over, and nothing was written
 */
export async function evaluateOnce(
  postgres: PostgresClient,
  lease: EventLease,
): Promise<(EvaluatedRace & { readonly revision: Revision }) | undefined> {
  const { eventId } = lease;
  const marks = await postgres.run((sql) => listDirty(sql, eventId), 'reading dirty devices');
  const race = await computeResults(postgres, eventId, () => renewIfDue(postgres, lease));
  if (!race) return undefined;
  let { revision } = lease;
  if (race.changes) {
    const changed = Object.values(race.changes);
    const entryIds = [
      ...changed.flatMap(({ rows }) => rows.map((row) => String(row['entry_id']))),
      ...changed.flatMap(({ gone }) => gone.map(entryIdOfKey)),
    ];
    const reasons = Object.fromEntries(entryIds.map((entryId) => [entryId, reason]));
    revision = await writeResults(postgres, lease, race.changes, reasons);
  }
  await writeProblems(postgres, lease, race.problems);
  await postgres.run((sql) => unmarkDirty(sql, eventId, marks), 'deleting marks of dirty devices');
  return { ...race, revision };
}
