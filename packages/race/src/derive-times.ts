import type { Stage } from './course.ts';
import type { StageResultRow } from './rows.ts';

/**
 * Gives entries whose time is missing one, where a decision asks for it: the best time of the stage, times the mean ratio of
 * the entry's time to the best one on the timed stages before and after it. Penalties are added as to any other
 * time, and are not part of the ratio. Without a time of its own on a neighbouring stage an entry gets none.
 *
 * @param stages the timed ones, by their order
 */
export function deriveTimes(
  stages: readonly Stage[],
  rows: readonly StageResultRow[],
): readonly StageResultRow[] {
  const bestMs = new Map(stages.map(({ id }) => [id, best(rows.filter(({ stageId }) => stageId === id))]));
  return rows.map((row) => {
    const stageBestMs = bestMs.get(row.stageId);
    if (!row.isToBeDerived || row.totalMs !== undefined || stageBestMs === undefined) return row;
    const at = stages.findIndex(({ id }) => id === row.stageId);
    const ratios = [stages[at - 1], stages[at + 1]].flatMap((neighbour) => {
      const own = rows.find(({ entryId, stageId }) => entryId === row.entryId && stageId === neighbour?.id);
      const neighbourBestMs = neighbour && bestMs.get(neighbour.id);
      return own?.elapsedMs === undefined || own.totalMs === undefined || !neighbourBestMs
        ? []
        : [own.elapsedMs / neighbourBestMs];
    });
    if (ratios.length === 0) return row;
    const meanRatio = ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length;
    const elapsedMs = Math.round(stageBestMs * meanRatio);
    return {
      ...row,
      status: 'finished',
      elapsedMs,
      totalMs: elapsedMs + row.penaltyMs,
      confidence: 'low',
      isDerived: true,
      isDecided: true,
    };
  });
}

function best(rows: readonly StageResultRow[]): number | undefined {
  const times = rows.flatMap(({ elapsedMs, totalMs }) =>
    elapsedMs === undefined || totalMs === undefined ? [] : [elapsedMs],
  );
  return times.length === 0 ? undefined : Math.min(...times);
}
