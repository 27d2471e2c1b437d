/** A tracker: `id` is `devices.id` (a UUID); `imei` is the device id in `positions` and in the stream. */
export interface Device {
  readonly id: string;
  readonly imei: string;
}

/** Which device is in which event. Immutable: a refresh creates a new one. Keys are event ids and IMEIs. */
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
 * Indexes the rows by event and by device. A device in several entries of one event counts once. If two rows of
 * `devices` have the same IMEI, the smaller id wins, so that all gateways agree.
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
