import type { Logger } from '@app/runtime/log';

/** Call the returned function after each attempt, with its error if it failed: logs when an outage begins and ends. */
export function createOutageReport(
  log: Logger,
  operation: string,
  fields: Readonly<Record<string, unknown>> = {},
): (error?: unknown) => void {
  let isFailing = false;
  return (error) => {
    const hasFailed = error !== undefined;
    if (hasFailed && !isFailing) log.warn({ ...fields, error }, `${operation} failed; retrying`);
    if (!hasFailed && isFailing) log.info(fields, `${operation} recovered`);
    isFailing = hasFailed;
  };
}
