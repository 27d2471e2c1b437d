import type { Observation, ObservationOf } from '../observation.ts';

/** What one tracker of an entry saw while it was assigned. The order of a list of these decides between equals. */
export interface DeviceSeen {
  readonly deviceId: string;
  /** By gate, waypoint, zone or stage; stops and SOS by their kind. */
  readonly byTarget: ReadonlyMap<string, readonly Observation[]>;
}

/** The judge asks for each target: searching all observations each time would be most of its work. */
export function indexObservations(deviceId: string, observations: readonly Observation[]): DeviceSeen {
  return { deviceId, byTarget: Map.groupBy(observations, targetOf) };
}

/** @param targetId of a gate, waypoint, zone or stage; `kind` itself for stops and SOS */
export function seenOf<Kind extends Observation['kind']>(
  { byTarget }: DeviceSeen,
  kind: Kind,
  targetId: string,
): readonly ObservationOf<Kind>[] {
  return (byTarget.get(targetId) ?? []).filter((one): one is ObservationOf<Kind> => one.kind === kind);
}

function targetOf(observation: Observation): string {
  switch (observation.kind) {
    case 'gate':
      return observation.gateId;
    case 'waypoint':
      return observation.waypointId;
    case 'zone':
      return observation.zoneId;
    case 'progress':
      return observation.stageId;
    default:
      return observation.kind;
  }
}
