import type { Logger } from '@app/runtime/log';

/** Told of each attempt, with its error or without one; logs where an outage begins and where it ends. */
export function createOutageReport(log: Logger, what: string): (error?: unknown) => void {
  let isFailing = false;
  return (error) => {
    const hasFailed = error !== undefined;
    if (hasFailed && !isFailing) log.warn({ error }, `${what} failed, trying again`);
    if (!hasFailed && isFailing) log.info(`${what} works again`);
    isFailing = hasFailed;
  };
}
