import { checkCourse, type CheckedRace } from '@app/race/check-course';
import type { Entry, RaceEvent } from '@app/race/course';
import type { LoadedRace } from '../load-race.ts';
import type { RaceProblem } from './write-problems.ts';

/** What race control entered, checked, with strings to compare parts of it with what was loaded before. */
export interface RaceInputs {
  readonly event: RaceEvent;
  readonly checked: CheckedRace;
  readonly problems: readonly RaceProblem[];
  readonly deviceIds: ReadonlySet<string>;
  /** What observations depend on. */
  readonly courseText: string;
  /** What the judge reads beside observations, by entry id. */
  readonly entryTexts: ReadonlyMap<string, { readonly own: string; readonly assignments: string }>;
}

export function prepareInputs({ race, problems: unreadable }: LoadedRace): RaceInputs {
  const checked = checkCourse(race);
  const { event } = race;
  const { window, entries, assignments } = checked;
  const eventText = JSON.stringify(event);
  return {
    event,
    checked,
    problems: [...unreadable, ...checked.problems],
    deviceIds: new Set(assignments.map(({ deviceId }) => deviceId)),
    courseText: JSON.stringify([window.fromMs, window.untilMs, checked.course]),
    entryTexts: new Map(entries.map((entry) => [entry.id, entryText(checked, entry, eventText)])),
  };
}

function entryText({ assignments, decisions }: CheckedRace, entry: Entry, eventText: string) {
  return {
    own: JSON.stringify([eventText, entry, decisions.filter(({ entryId }) => entryId === entry.id)]),
    assignments: JSON.stringify(assignments.filter(({ entryId }) => entryId === entry.id)),
  };
}
