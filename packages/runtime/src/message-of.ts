/** The message of an error, or of its first cause where its own says nothing. */
export function messageOf(error: unknown): string {
  // Disposal failed as well: what came first is the reason.
  if (error instanceof SuppressedError) return messageOf(error.suppressed);
  // A host with several addresses gives one error per address.
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  if (error.message === 'fetch failed' && error.cause !== undefined) return messageOf(error.cause);
  return error.message === '' ? error.name : error.message;
}
