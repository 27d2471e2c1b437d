/** A failed migration; the message says why and what to do. The transaction was rolled back. */
export class MigrateError extends Error {
  override readonly name = 'MigrateError';
}
