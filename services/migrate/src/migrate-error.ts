/** Migrating failed in a way that the message explains, with what to do; nothing is half done. */
export class MigrateError extends Error {
  override readonly name = 'MigrateError';
}
