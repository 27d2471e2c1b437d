import type { CheckedRace } from '@app/race/check-course';
import type { RaceEvent } from '@app/race/course';
import { entryInput } from '@app/race/evaluate-race';
import { judgeEntry } from '@app/race/judge-entry';
import type { EntryResults } from '@app/race/rows';
import type { DeviceTracks, Reason } from './device-tracks.ts';
import type { RaceProblem } from './write-problems.ts';

/** What follows from time passing on the other entries (DNS, OTL, a missed waypoint) may wait this long. */
const timePassesMs = 5000;

interface Judged {
  readonly results: EntryResults;
  readonly asOfMs: number;
  readonly judgedAtMs: number;
}

/** The results of an event's entries as last judged, and which have to be judged again. */
export class EntryJudge {
  readonly #judged = new Map<string, Judged>();
  readonly #due = new Map<string, Set<Reason>>();

  markDue(entryId: string, reasons: Iterable<Reason>): void {
    const due = this.#due.get(entryId) ?? new Set();
    for (const reason of reasons) due.add(reason);
    this.#due.set(entryId, due);
  }

  /** By the order of the entries. */
  get results(): readonly EntryResults[] {
    return [...this.#judged.values()].map(({ results }) => results);
  }

  /**
   * Judges entries that are due, and those for which time has passed.
   *
   * @param isLast also those for which little time has passed
   * @returns why, by the id of each entry that was judged
   */
  async judge(
    event: RaceEvent,
    checked: CheckedRace,
    tracks: DeviceTracks,
    asOfMs: number,
    isLast: boolean,
    breathe: () => Promise<void>,
  ): Promise<ReadonlyMap<string, ReadonlySet<Reason>>> {
    const entryIds = new Set(checked.entries.map(({ id }) => id));
    for (const map of [this.#judged, this.#due]) {
      for (const entryId of map.keys()) if (!entryIds.has(entryId)) map.delete(entryId);
    }
    const nowMs = performance.now();
    const reasonsOf = new Map<string, ReadonlySet<Reason>>();
    for (const entry of checked.entries) {
      const before = this.#judged.get(entry.id);
      const hasTimePassed =
        before !== undefined &&
        before.asOfMs !== asOfMs &&
        (isLast || nowMs - before.judgedAtMs >= timePassesMs);
      const reasons =
        this.#due.get(entry.id) ?? (hasTimePassed ? new Set<Reason>(['time passed']) : undefined);
      if (!reasons) continue;
      await breathe();
      const deviceIds = checked.assignments.flatMap(({ entryId, deviceId }) =>
        entryId === entry.id ? [deviceId] : [],
      );
      const input = entryInput(checked, entry, tracks.observedOf(deviceIds));
      const results = judgeEntry(event, checked.course, input, asOfMs);
      this.#judged.set(entry.id, { results, asOfMs, judgedAtMs: nowMs });
      this.#due.delete(entry.id);
      reasonsOf.set(entry.id, reasons);
    }
    return reasonsOf;
  }
}

/** Rules that failed for a tracker, and stages that could not be judged: a sentence each. */
export function failureProblems(
  checked: CheckedRace,
  results: readonly EntryResults[],
): readonly RaceProblem[] {
  const numberOf = new Map(checked.entries.map(({ id, number }) => [id, number]));
  const stageOf = new Map(checked.course.stages.map(({ id, name }) => [id, name]));
  return results.flatMap(({ entryId, failures, judgeFailures }) => {
    const number = numberOf.get(entryId) ?? entryId;
    const messages = [
      ...failures.map(
        ({ rule, ruleVersion, deviceId, fixAtMs, message }) =>
          `The rule ${rule} (version ${ruleVersion}) failed for the device ${deviceId} of the entry ${number} ` +
          `at its fix of ${new Date(fixAtMs).toISOString()} (${message}); ` +
          'it is not used for this device, and results that need it are incomplete.',
      ),
      ...judgeFailures.map(({ stageId, message }) =>
        stageId === undefined
          ? `SOS of the entry ${number} cannot be judged (${message}); none is shown.`
          : `The stage ${stageOf.get(stageId) ?? stageId} cannot be judged for the entry ${number} (${message}); ` +
            'it has no results there.',
      ),
    ];
    return messages.map((message) => ({
      collection: 'entries' as const,
      id: entryId,
      message,
      isRefused: false,
    }));
  });
}
