import type { Race } from './course.ts';
import type { Collection, Report } from './course-problem.ts';
import type { Decision } from './decision.ts';

/** Refuses rows that refer to a row that does not exist, or whose values could not be read. */
export function checkReferences(race: Race, refuse: Report): void {
  const ids = {
    stage: new Set(race.stages.map(({ id }) => id)),
    gate: new Set(race.gates.map(({ id }) => id)),
    waypoint: new Set(race.waypoints.map(({ id }) => id)),
    zone: new Set(race.zones.map(({ id }) => id)),
    entry: new Set(race.entries.map(({ id }) => id)),
  };
  const check = (
    collection: Collection,
    row: { readonly id: string; readonly name: string },
    what: keyof typeof ids,
    id: string,
  ) => {
    if (!ids[what].has(id))
      refuse(
        collection,
        row.id,
        `${row.name} belongs to ${what === 'entry' ? 'an' : 'a'} ${what} that does not exist or cannot be used: ${id}.`,
      );
  };

  for (const row of race.gates)
    check('gates', { id: row.id, name: `The gate ${row.name}` }, 'stage', row.stageId);
  for (const row of race.waypoints)
    check('waypoints', { id: row.id, name: `The waypoint ${row.name}` }, 'stage', row.stageId);
  for (const row of race.zones)
    check('zones', { id: row.id, name: `The zone ${row.name}` }, 'stage', row.stageId);
  for (const row of race.assignments) {
    check('entry_devices', { id: row.id, name: `The device ${row.deviceId}` }, 'entry', row.entryId);
  }
  for (const decision of race.decisions) {
    const row = { id: decision.id, name: `A decision by ${decision.decidedBy}` };
    check('decisions', row, 'entry', decision.entryId);
    const target = targetOf(decision);
    if (target && !target.whats.some((what) => ids[what].has(target.id))) {
      refuse(
        'decisions',
        row.id,
        `${row.name} is about a ${target.whats.join(' or ')} that does not exist or cannot be used: ${target.id}.`,
      );
    }
  }
}

function targetOf(
  decision: Decision,
): { readonly id: string; readonly whats: readonly ('gate' | 'waypoint' | 'zone' | 'stage')[] } | undefined {
  switch (decision.kind) {
    case 'passing_added':
    case 'passing_suppressed':
    case 'passing_corrected':
      return { id: decision.targetId, whats: ['gate', 'waypoint'] };
    case 'episode_suppressed':
      return { id: decision.zoneId, whats: ['zone'] };
    case 'penalty':
    case 'derived_time':
      return { id: decision.stageId, whats: ['stage'] };
    case 'status':
      return decision.stageId === undefined ? undefined : { id: decision.stageId, whats: ['stage'] };
    default:
      return undefined;
  }
}
