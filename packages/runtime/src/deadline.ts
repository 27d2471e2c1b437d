/** Rejection of `withDeadline`. The operation itself continues, and its result is ignored. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'DEADLINE_EXCEEDED';

  constructor(operation: string, deadlineMs: number) {
    super(`${operation} did not complete within ${deadlineMs} ms`);
  }
}

/**
 * Settles as `work`, or rejects with a `DeadlineError` after `deadlineMs`.
 *
 * Nothing is cancelled: on a black-holed connection a driver may never settle its promise, so the caller must close the
 * connection. A late result or rejection of `work` is ignored.
 */
export async function withDeadline<T>(
  work: PromiseLike<T>,
  deadlineMs: number,
  operation: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(operation, deadlineMs)), deadlineMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
