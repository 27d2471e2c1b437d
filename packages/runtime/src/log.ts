import { pino } from 'pino';
import type { DestinationStream, Logger } from 'pino';
import { hidden, safeToLog } from './safe-to-log.ts';

export type { Logger } from 'pino';

/**
 * A logger of JSON lines on stdout: `level` as a word, `time` as ISO 8601,
 * `service`, `instance`, `msg` and the fields given.
 *
 * What is logged goes through `safeToLog`: an error under any name keeps only
 * type, message, code, stack and causes; cookies, authorization headers,
 * passwords and credentials inside URLs are replaced.
 *
 * Writing is synchronous, so that the last line before an exit is never lost.
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
        // Before pino sees the arguments: it copies an error's own message into `msg`.
        logMethod(args, method) {
          Reflect.apply(method, this, safeArguments(args));
        },
      },
      errorKey: 'error',
      // These two for the bindings of a child logger, which no hook sees.
      serializers: { error: safeToLog, err: safeToLog },
      redact: { paths: ['authorization', 'cookie', 'password', 'token'], censor: hidden },
    },
    options.destination ?? pino.destination({ dest: 1, sync: true }),
  );
}

/** The last four characters of an IMEI: enough to follow a device in the log, not enough to name it. */
export function shortDeviceId(imei: string): string {
  return imei.slice(-4);
}

function safeArguments(args: readonly unknown[]): unknown[] {
  const [first, ...rest] = args;
  const fields = first instanceof Error ? { error: first } : first;
  return [fields, ...rest].map((item) => safeToLog(item));
}
