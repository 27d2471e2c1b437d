import { DirectusRefusal, type DirectusApi } from '@app/directus-setup/directus-api';
import { z } from 'zod';
import { Refusal, unknownEvent } from '../refusal.ts';

/** Directus may limit what it answers at once: pages are read until one is empty. */
const pageItems = 1000;

const text = z
  .union([z.string(), z.number()])
  .nullish()
  .transform((value) => String(value ?? ''));
const time = z
  .string()
  .nullish()
  .transform((value) => (value ? Date.parse(value) : null));
const isArchived = z
  .string()
  .nullish()
  .transform((value) => value === 'archived');
const entry = z.object({
  id: z.uuid(),
  number: text,
  crew: text,
  class: text,
  start_order: z
    .number()
    .nullish()
    .transform((value) => value ?? null),
  start_at: time,
  status: isArchived,
});
const device = z.object({ id: z.uuid(), imei: text, status: isArchived });
const assignment = z.object({
  id: z.uuid(),
  entry_id: z.uuid(),
  device_id: z.uuid(),
  order_number: z
    .number()
    .nullish()
    .transform((value) => value ?? 1),
  from_at: time,
  until_at: time,
});

export type DirectusEntry = Readonly<z.output<typeof entry>>;
export type DirectusDevice = Readonly<z.output<typeof device>>;
export type DirectusAssignment = Readonly<z.output<typeof assignment>>;

/** What Directus holds of an event's entries and of all devices. */
export interface EntriesNow {
  /** Without archived ones. */
  readonly entries: readonly DirectusEntry[];
  readonly devices: readonly DirectusDevice[];
  /** Of these entries. */
  readonly assignments: readonly DirectusAssignment[];
}

/** @throws {Refusal} the event does not exist, or may not be read */
export async function readEntries(api: DirectusApi, eventId: string): Promise<EntriesNow> {
  await api('GET', `/items/events/${eventId}?fields=id`).catch((error: unknown) => {
    // Directus answers the same for what does not exist and what may not be read.
    if (!(error instanceof DirectusRefusal) || error.code !== 'FORBIDDEN') throw error;
    throw new Refusal(
      `${unknownEvent(eventId).message}, or the owner of DIRECTUS_TOKEN may not read it`,
      undefined,
      {
        cause: error,
      },
    );
  });
  const all = await readAll(api, 'entries', entry, `filter[event_id][_eq]=${eventId}`);
  const entries = all.filter(({ status }) => !status);
  const entryIds = new Set(entries.map(({ id }) => id));
  const devices = await readAll(api, 'devices', device, '');
  const ofEvent = `filter[entry_id][event_id][_eq]=${eventId}`;
  const assignments = await readAll(api, 'entry_devices', assignment, ofEvent);
  return { entries, devices, assignments: assignments.filter(({ entry_id: id }) => entryIds.has(id)) };
}

async function readAll<T>(
  api: DirectusApi,
  collection: string,
  schema: z.ZodType<T>,
  filter: string,
): Promise<readonly T[]> {
  const rows: T[] = [];
  for (;;) {
    // All fields: those that are optional cannot be asked for by name where they are missing.
    const query = `fields=*&sort=id&limit=${pageItems}&offset=${rows.length}&${filter}`;
    const page = z.array(schema).safeParse(await api('GET', `/items/${collection}?${query}`));
    if (!page.success) {
      const [issue] = page.error.issues;
      throw new Refusal(
        `Directus has ${collection} that cannot be read (${issue?.path.join('.')}: ${issue?.message}); run ./run directus-setup, and allow the owner of DIRECTUS_TOKEN to read all fields`,
      );
    }
    if (page.data.length === 0) return rows;
    rows.push(...page.data);
  }
}
