/** What the gateway needs of Directus' tables. */
export const directusColumns: readonly { readonly table: string; readonly column: string }[] = [
  { table: 'events', column: 'id' },
  { table: 'entries', column: 'id' },
  { table: 'entries', column: 'event_id' },
  { table: 'entry_devices', column: 'id' },
  { table: 'entry_devices', column: 'entry_id' },
  { table: 'entry_devices', column: 'device_id' },
  { table: 'devices', column: 'id' },
  { table: 'devices', column: 'imei' },
  { table: 'directus_users', column: 'id' },
  { table: 'directus_users', column: 'status' },
];

/** What it reads as well where the table has the column: archived rows are left out. */
export const optionalColumns: readonly { readonly table: string; readonly column: string }[] = [
  { table: 'entries', column: 'status' },
  { table: 'entry_devices', column: 'status' },
  { table: 'devices', column: 'status' },
];
