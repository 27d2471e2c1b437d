import { randomUUID } from 'node:crypto';
import type { Race } from '@app/race/course';
import { defaultThresholds } from '@app/race/thresholds';

/** An event whose entries have one tracker each, without end; the course is still missing. */
export function entered(
  imeis: readonly string[],
  startAtMs: number,
): Pick<Race, 'event' | 'entries' | 'assignments' | 'decisions'> {
  const entries = imeis.map((_, index) => ({
    id: randomUUID(),
    number: String(index + 1),
    crew: `Crew ${index + 1}`,
    class: ['car', 'truck', 'bike'][index % 3] ?? '',
    startOrder: index + 1,
    startAtMs: undefined,
    status: 'entered' as const,
  }));
  return {
    event: {
      id: randomUUID(),
      name: 'Benchmark',
      startAtMs,
      endAtMs: undefined,
      thresholds: defaultThresholds,
    },
    entries,
    assignments: entries.map(({ id: entryId }, index) => ({
      id: randomUUID(),
      entryId,
      deviceId: imeis[index] ?? '',
      order: 1,
      fromMs: undefined,
      untilMs: undefined,
    })),
    decisions: [],
  };
}
