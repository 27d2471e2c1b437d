import { randomUUID } from 'node:crypto';
import type { CsvProblem } from './read-csv.ts';
import type { DirectusAssignment, DirectusEntry, EntriesNow } from './read-entries.ts';
import type { ListedEntry } from './read-start-list.ts';

type Item = Readonly<Record<string, string | number | null>>;

/** What makes Directus hold the start list. Items have the fields of their collection. */
export interface ImportPlan {
  readonly created: readonly Item[];
  /** With the id and the fields that change. */
  readonly updated: readonly Item[];
  /** Numbers of entries that stay as they are. */
  readonly unchanged: readonly string[];
  /** Numbers of entries that the list does not have. They stay as they are. */
  readonly notListed: readonly string[];
  readonly assigned: readonly Item[];
  /** Ids of assignments. */
  readonly unassigned: readonly string[];
  readonly problems: readonly CsvProblem[];
}

/**
 * Compares a start list with what Directus holds. Entries are matched by number. The devices of a line replace those that
 * are assigned to the entry for the whole event; assignments with a time are left alone.
 */
export function planImport(
  eventId: string,
  listed: readonly ListedEntry[],
  { entries, devices, assignments }: EntriesNow,
): ImportPlan {
  const problems: CsvProblem[] = [];
  const byNumber = Map.groupBy(entries, ({ number }) => number);
  const deviceByName = new Map(
    devices.flatMap((device) => [[device.id, device] as const, [device.imei, device] as const]),
  );
  const listedNumbers = new Set(listed.map(({ number }) => number));
  const notListed = entries.filter(({ number }) => !listedNumbers.has(number));
  const numberOf = new Map(entries.map(({ id, number }) => [id, number]));
  // Devices that stay with an entry: those of entries that the list does not have, or has without devices.
  const isKept = ({ entry_id: entryId }: DirectusAssignment): boolean =>
    !listed.some(({ number, devices: own }) => number === numberOf.get(entryId) && own.length > 0);
  const kept = assignments.filter((one) => isKept(one) && isWhole(one));
  const lineOfDevice = new Map<string, number>();

  const created: Item[] = [];
  const updated: Item[] = [];
  const unchanged: string[] = [];
  const assigned: Item[] = [];
  const unassigned: string[] = [];
  for (const line of listed) {
    const report = (message: string): void => void problems.push({ line: line.line, message });
    const [existing, ...others] = byNumber.get(line.number) ?? [];
    if (others.length > 0)
      report(`Directus has ${others.length + 1} entries with the number ${line.number}; archive all but one`);
    const deviceIds = line.devices.flatMap((name) => {
      const device = deviceByName.get(name) ?? deviceByName.get(name.toLowerCase());
      const problem = device?.status === true ? `the device ${name} is archived` : describeUnknown(name);
      if (!device || device.status) {
        report(problem);
        return [];
      }
      const first = lineOfDevice.get(device.id);
      if (first !== undefined) report(`the device ${name} is on line ${first} already`);
      lineOfDevice.set(device.id, line.line);
      const holder = kept.find(({ device_id: id }) => id === device.id);
      if (holder)
        report(
          `the device ${name} is assigned to the entry ${numberOf.get(holder.entry_id)}; remove it there`,
        );
      return [device.id];
    });

    const entryId = existing?.id ?? randomUUID();
    if (existing) {
      const changes = changesOf(existing, line);
      const own = assignments.filter(({ entry_id: id }) => id === entryId);
      const devicesChange = assignDevices(entryId, deviceIds, own);
      assigned.push(...devicesChange.assigned);
      unassigned.push(...devicesChange.unassigned);
      if (Object.keys(changes).length > 0) updated.push({ id: entryId, ...changes });
      else unchanged.push(line.number);
    } else {
      const name = line.crew === '' ? line.number : line.crew;
      created.push({ id: entryId, event_id: eventId, name, number: line.number, ...fieldsOf(line) });
      assigned.push(...assignDevices(entryId, deviceIds, []).assigned);
    }
  }
  return {
    created,
    updated,
    unchanged,
    notListed: notListed.map(({ number, id }) => (number === '' ? id : number)),
    assigned,
    unassigned,
    problems,
  };
}

function isWhole({ from_at: fromMs, until_at: untilMs }: DirectusAssignment): boolean {
  return fromMs === null && untilMs === null;
}

function fieldsOf({ crew, class: className, startOrder, startAtMs }: ListedEntry): Item {
  return {
    crew,
    class: className,
    start_order: startOrder,
    ...(startAtMs !== undefined && {
      start_at: startAtMs === null ? null : new Date(startAtMs).toISOString(),
    }),
  };
}

function changesOf(existing: DirectusEntry, line: ListedEntry): Item {
  const isSame: Readonly<Record<string, boolean>> = {
    crew: existing.crew === line.crew,
    class: existing.class === line.class,
    start_order: existing.start_order === line.startOrder,
    start_at: existing.start_at === line.startAtMs,
  };
  return Object.fromEntries(Object.entries(fieldsOf(line)).filter(([name]) => isSame[name] !== true));
}

/** Of no devices nothing changes. */
function assignDevices(
  entryId: string,
  deviceIds: readonly string[],
  own: readonly DirectusAssignment[],
): Pick<ImportPlan, 'assigned' | 'unassigned'> {
  if (deviceIds.length === 0) return { assigned: [], unassigned: [] };
  const wanted = deviceIds.map((deviceId, n) => ({ deviceId, order: n + 1 }));
  const isWanted = (one: DirectusAssignment): boolean =>
    wanted.some(({ deviceId, order }) => deviceId === one.device_id && order === one.order_number);
  const timed = new Set(own.filter((one) => !isWhole(one)).map(({ device_id: id }) => id));
  const right = own.filter((one) => isWhole(one) && isWanted(one));
  const assigned = wanted
    .filter(({ deviceId }) => !timed.has(deviceId) && !right.some(({ device_id: id }) => id === deviceId))
    .map(({ deviceId, order }) => ({
      id: randomUUID(),
      entry_id: entryId,
      device_id: deviceId,
      order_number: order,
    }));
  return {
    assigned,
    unassigned: own.filter((one) => isWhole(one) && !isWanted(one)).map(({ id }) => id),
  };
}

function describeUnknown(name: string): string {
  // Fifteen digits are written as 3.56307E+14 by a spreadsheet whose column is not text.
  return /^\d+(?:[.,]\d+)?E\+\d+$/iu.test(name)
    ? `the device ${name} is an IMEI that a spreadsheet has rounded; format the column as text and fill it in again`
    : `Directus has no device with the IMEI or id ${JSON.stringify(name)}`;
}
