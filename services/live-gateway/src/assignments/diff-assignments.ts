import type { Assignments, Device } from './assignments.ts';

/** The changes to one event's devices. A device whose `devices.id` has changed is removed and added. */
export interface DeviceChange {
  readonly added: readonly Device[];
  readonly removed: readonly Device[];
}

const noDevices: ReadonlyMap<string, Device> = new Map();

/** The changes by event id; an event without changes is left out. */
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
