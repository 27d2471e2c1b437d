import { checkCourse, type CheckedRace } from '@app/race/check-course';
import type { Entry, RaceEvent } from '@app/race/course';
import type { LoadedRace } from '../load-race.ts';
import type { EventWindow } from './observe-positions.ts';
import type { RaceProblem } from './write-problems.ts';

/** What race control entered, checked, with strings to compare parts of it with what was loaded before. */
export interface RaceInputs {
  readonly event: RaceEvent;
  readonly checked: CheckedRace;
  readonly window: EventWindow;
  readonly problems: readonly RaceProblem[];
  readonly deviceIds: ReadonlySet<string>;
  /** What observations depend on. */
  readonly courseText: string;
  /** What the judge reads beside observations, by entry id. */
  readonly entryTexts: ReadonlyMap<string, { readonly own: string; readonly assignments: string }>;
}

/** Of an event that is refused as a whole there is nothing but problems. */
export function prepareInputs({ race, problems: unreadable }: LoadedRace): RaceInputs {
  const checked = checkCourse(race);
  const { event } = race;
  const isRefused = checked.problems.some(({ id, isRefused: refused }) => id === event.id && refused);
  const window = { fromMs: event.startAtMs ?? -Infinity, untilMs: event.endAtMs ?? Infinity };
  const entries = isRefused ? [] : checked.entries;
  const usable = { ...checked, entries, assignments: isRefused ? [] : checked.assignments };
  const eventText = JSON.stringify(event);
  return {
    event,
    checked: usable,
    window,
    problems: [...unreadable, ...checked.problems],
    deviceIds: new Set(usable.assignments.map(({ deviceId }) => deviceId)),
    courseText: JSON.stringify([window.fromMs, window.untilMs, checked.course]),
    entryTexts: new Map(entries.map((entry) => [entry.id, entryText(usable, entry, eventText)])),
  };
}

function entryText({ assignments, decisions }: CheckedRace, entry: Entry, eventText: string) {
  return {
    own: JSON.stringify([eventText, entry, decisions.filter(({ entryId }) => entryId === entry.id)]),
    assignments: JSON.stringify(assignments.filter(({ entryId }) => entryId === entry.id)),
  };
}
