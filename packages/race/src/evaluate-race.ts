import { checkCourse, type CheckedRace } from './check-course.ts';
import { classify, type Classification } from './classify.ts';
import type { Assignment, Entry, Race } from './course.ts';
import { isDuring as isFixDuring } from './event-window.ts';
import type { Fix } from './fix.ts';
import { judgeEntry, type EntryInput } from './judge/judge-entry.ts';
import type { Observation } from './observation.ts';
import { observeFixes, type DeviceObserved } from './observe.ts';
import type { EntryResults } from './rows.ts';

export interface RaceResults {
  readonly checked: CheckedRace;
  readonly entries: readonly EntryResults[];
  readonly classification: Classification;
}

/**
 * The results of an event: a function of what is stored, whatever the order in which it was. Everything else that computes
 * results does it faster, and has to come to the same.
 *
 * @param fixes by device, in any order, repeated ones included
 */
export function evaluateRace(
  race: Race,
  fixes: ReadonlyMap<string, readonly Fix[]>,
  asOfMs: number,
): RaceResults {
  const checked = checkCourse(race);
  const observed = new Map(
    [...fixes].map(([deviceId, ofDevice]) => [
      deviceId,
      observeFixes(
        checked.prepared,
        ofDevice.filter((fix) => isFixDuring(checked.window, fix)),
      ),
    ]),
  );
  const entries = checked.entries.map((entry) =>
    judgeEntry(race.event, checked.course, entryInput(checked, entry, observed), asOfMs),
  );
  return { checked, entries, classification: classify(race.event, checked.course, checked.entries, entries) };
}

/** What the judge needs of an entry: what its trackers observed while they were assigned to it, and its decisions. */
export function entryInput(
  { assignments, decisions }: CheckedRace,
  entry: Entry,
  observed: ReadonlyMap<string, DeviceObserved>,
): EntryInput {
  return {
    entry,
    devices: assignments
      .filter(({ entryId }) => entryId === entry.id)
      .map((assignment) => {
        const { observations = [], failures = [] } = observed.get(assignment.deviceId) ?? {};
        return {
          deviceId: assignment.deviceId,
          observations: observations.filter((one) => isDuring(assignment, one)),
          failures,
        };
      }),
    decisions: decisions.filter(({ entryId }) => entryId === entry.id),
  };
}

/** What began while a tracker was assigned to an entry is the entry's. */
function isDuring({ fromMs, untilMs }: Assignment, observation: Observation): boolean {
  const beganAtMs = 'fromMs' in observation ? observation.fromMs : observation.atMs;
  return beganAtMs >= (fromMs ?? -Infinity) && beganAtMs < (untilMs ?? Infinity);
}
