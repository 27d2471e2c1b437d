import type { Assignment } from '@app/race/course';
import type { EntryResults } from '@app/race/rows';
import { vehicleState } from '@app/race/vehicle-state';
import type { DeviceTracks } from './device-tracks.ts';
import type { RaceInputs } from './race-inputs.ts';
import type { RecordArrivals } from './record-arrivals.ts';
import type { TableRow } from './result-tables.ts';
import { knownRow, type KnownRows } from './write-results.ts';

/**
 * The states of all entries that have a tracker. A state that has not changed is the row that the table holds, and so is one
 * that cannot be known: while a device is dirty, since some of its records may be missing, and if `nowMs` is unknown.
 *
 * @param nowMs server time until which records are stored
 */
export function vehicleStateRows(
  { event, checked }: RaceInputs,
  tracks: DeviceTracks,
  arrivals: RecordArrivals,
  results: readonly EntryResults[],
  known: KnownRows,
  nowMs: number | undefined,
): readonly TableRow[] {
  const sosEntryIds = new Set(
    results.flatMap(({ incidents }) =>
      incidents.flatMap(({ rule, isOpen, entryId }) => (rule === 'sos' && isOpen ? [entryId] : [])),
    ),
  );
  const byEntry = Map.groupBy(checked.assignments, ({ entryId }) => entryId);
  return checked.entries.flatMap(({ id }) => {
    const key = `${event.id}/${id}/state`;
    const before = knownRow(known, 'vehicle_states', key);
    const assignments = byEntry.get(id) ?? [];
    if (assignments.length === 0) return [];
    if (nowMs === undefined || assignments.some(({ deviceId }) => tracks.isDirty(deviceId))) {
      return before ? [before] : [];
    }
    const trackers = assignments
      .filter((assignment) => isDuring(assignment, nowMs))
      .map((assignment) => trackerOf(assignment, tracks, arrivals));
    const trackerState = vehicleState(trackers, false, event.thresholds, nowMs);
    const state = sosEntryIds.has(id) ? 'sos' : trackerState;
    const isSame = before?.['state'] === state;
    const isTrackerSame = before?.['tracker_state'] === trackerState;
    if (before && isSame && isTrackerSame) return [before];
    const recordAtMs = Math.max(...trackers.map((tracker) => tracker.recordAtMs ?? -Infinity));
    const lastRecordAtMs = Number.isFinite(recordAtMs) ? recordAtMs : null;
    const now = Math.round(nowMs);
    return [
      {
        key,
        event_id: event.id,
        entry_id: id,
        state,
        since: isSame ? (before['since'] ?? now) : now,
        last_record_at: isSame ? (before['last_record_at'] ?? null) : lastRecordAtMs,
        tracker_state: trackerState,
        tracker_state_since: isTrackerSame ? (before['tracker_state_since'] ?? now) : now,
      },
    ];
  });
}

function isDuring({ fromMs, untilMs }: Assignment, nowMs: number): boolean {
  return nowMs >= (fromMs ?? -Infinity) && nowMs < (untilMs ?? Infinity);
}

/** Without what arrived before the tracker was assigned. */
function trackerOf({ deviceId, fromMs }: Assignment, tracks: DeviceTracks, arrivals: RecordArrivals) {
  const { recordAtMs, goodAtMs } = arrivals.of(deviceId) ?? {};
  const since = (atMs: number | undefined) =>
    atMs !== undefined && atMs >= (fromMs ?? -Infinity) ? atMs : undefined;
  return {
    recordAtMs: since(recordAtMs),
    goodAtMs: since(goodAtMs),
    isStanding: tracks.isStanding(deviceId),
  };
}
