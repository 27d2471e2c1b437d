import type { Assignments, Device } from './assignments.ts';

/** How the devices of one event have changed. One whose `devices.id` is another than before is removed and added. */
export interface DeviceChange {
  readonly added: readonly Device[];
  readonly removed: readonly Device[];
}

const noDevices: ReadonlyMap<string, Device> = new Map();

/** The events whose devices differ, with the difference; an event that is not in the result has not changed. */
export function diffAssignments(before: Assignments, after: Assignments): ReadonlyMap<string, DeviceChange> {
  const changes = new Map<string, DeviceChange>();
  const eventIds = new Set([...before.devicesByEvent.keys(), ...after.devicesByEvent.keys()]);
  for (const eventId of eventIds) {
    const had = before.devicesByEvent.get(eventId) ?? noDevices;
    const has = after.devicesByEvent.get(eventId) ?? noDevices;
    const removed = [...had.values()].filter((device) => has.get(device.imei)?.id !== device.id);
    const added = [...has.values()].filter((device) => had.get(device.imei)?.id !== device.id);
    if (added.length > 0 || removed.length > 0) changes.set(eventId, { added, removed });
  }
  return changes;
}
