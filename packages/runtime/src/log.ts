import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { redacted, safeToLog } from './safe-to-log.ts';

export type { Logger } from 'pino';

/**
 * Creates a logger of JSON lines on stdout with `level`, `time` (ISO 8601), `service`, `instance` and `msg`.
 *
 * Fields go through `safeToLog`: only an allow-list of an error's fields is logged; secrets and credentials in URLs are
 * redacted. Writes are synchronous, so that the last line before an exit is never lost.
 */
export function createLog(options: {
  readonly service: string;
  readonly instanceId: string;
  readonly level: string;
  readonly destination?: DestinationStream;
}): Logger {
  return pino(
    {
      level: options.level,
      base: { service: options.service, instance: options.instanceId },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      hooks: {
        // Before pino, which copies an error's message into `msg`.
        logMethod(args, method) {
          Reflect.apply(method, this, safeArguments(args));
        },
      },
      errorKey: 'error',
      // Serializers and redact are for the bindings of a child logger, which bypass the hook.
      serializers: { error: safeToLog, err: safeToLog },
      redact: { paths: ['authorization', 'cookie', 'password', 'token'], censor: redacted },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  );
}

/** The last four characters of an IMEI: enough to follow a device through the log without identifying it. */
export function shortDeviceId(imei: string): string {
  return imei.slice(-4);
}

function safeArguments(args: readonly unknown[]): unknown[] {
  const [first, ...rest] = args;
  const fields = first instanceof Error ? { error: first } : first;
  return [fields, ...rest].map((item) => safeToLog(item));
}
