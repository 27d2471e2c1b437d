/** A tracker: `id` is Directus' key (`devices.id`, a UUID), `imei` is what `positions` and the stream call it. */
export interface Device {
  readonly id: string;
  readonly imei: string;
}

/** Which device is in which event. A value: a refresh makes a new one. All maps but the outer `devicesByEvent` are by IMEI. */
export interface Assignments {
  readonly devicesByEvent: ReadonlyMap<string, ReadonlyMap<string, Device>>;
  readonly eventsByImei: ReadonlyMap<string, readonly string[]>;
}

export interface AssignmentRow {
  readonly eventId: string;
  readonly deviceId: string;
  readonly imei: string;
}

export const noAssignments: Assignments = { devicesByEvent: new Map(), eventsByImei: new Map() };

/**
 * Indexes the rows both ways. A device may be in several entries of one event and counts once there. Should two rows of
 * `devices` claim one IMEI, the smaller id stands for it, so that every gateway says the same.
 */
export function indexAssignments(rows: readonly AssignmentRow[]): Assignments {
  const devicesByEvent = new Map<string, Map<string, Device>>();
  const eventsByImei = new Map<string, string[]>();
  for (const { eventId, deviceId, imei } of rows) {
    let devices = devicesByEvent.get(eventId);
    if (devices === undefined) devicesByEvent.set(eventId, (devices = new Map()));
    const known = devices.get(imei);
    if (known === undefined) {
      const events = eventsByImei.get(imei);
      if (events === undefined) eventsByImei.set(imei, [eventId]);
      else events.push(eventId);
    }
    if (known === undefined || deviceId < known.id) devices.set(imei, { id: deviceId, imei });
  }
  return { devicesByEvent, eventsByImei };
}
