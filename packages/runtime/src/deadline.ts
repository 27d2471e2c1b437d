/** Raised by `withDeadline`; the work itself goes on and its late outcome is dropped. May be retried. */
export class DeadlineError extends Error {
  override readonly name = 'DeadlineError';
  readonly code = 'DEADLINE_EXCEEDED';
  readonly deadlineMs: number;

  constructor(what: string, deadlineMs: number) {
    super(`${what} did not answer within ${deadlineMs} ms`);
    this.deadlineMs = deadlineMs;
  }
}

/**
 * The outcome of `work`, or a `DeadlineError` after `deadlineMs`.
 *
 * Nothing is cancelled: a driver whose connection swallows bytes may never
 * settle its promise, so what has to happen to that connection is the caller's
 * to decide. The late outcome of the work, a rejection too, is ignored.
 */
export async function withDeadline<T>(work: PromiseLike<T>, deadlineMs: number, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineError(what, deadlineMs)), deadlineMs);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
