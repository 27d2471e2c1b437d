import { constants } from 'node:os';
import type { z } from 'zod';
import { readBuildInfo } from './build-info.ts';
import { ConfigError, publicSettings, readConfig } from './config.ts';
import { createLog } from './log.ts';
import type { Logger } from './log.ts';

export interface ServiceContext<Config> {
  readonly config: Config;
  readonly log: Logger;
  /** Aborted once, by the first SIGTERM or SIGINT. */
  readonly stop: AbortSignal;
}

interface ServiceOptions<S extends z.ZodObject> {
  readonly service: string;
  readonly schema: S;
  readonly instanceId: (config: Readonly<z.output<S>>) => string;
  readonly run: (context: ServiceContext<Readonly<z.output<S>>>) => Promise<void>;
  readonly graceMs: (config: Readonly<z.output<S>>) => number;
}

/** The grace period is counted in steps: time in which the process did not run (SIGSTOP) counts as one at most. */
const graceSteps = 20;

/**
 * Reads the configuration, runs the service and exits the process.
 *
 * Exit codes: 0 if `run` resolved, or rejected with the stop's reason after a stop; 1 if it failed, on an uncaught
 * exception or unhandled rejection, or if it has not ended `graceMs` after the stop; 78 with the problems on stderr if the
 * configuration is invalid; 130 or 143 on a second SIGINT or SIGTERM.
 */
export async function runService<S extends z.ZodObject>(options: ServiceOptions<S>): Promise<void> {
  const config = configOrExit(options.service, options.schema);
  const log = createLog({
    service: options.service,
    instanceId: options.instanceId(config),
    level: levelOf(config),
  });
  const stopping = new AbortController();
  const stop = stopping.signal;

  process.on('uncaughtException', (error) => die(log, error, 'uncaught exception'));
  process.on('unhandledRejection', (error) => die(log, error, 'unhandled rejection'));
  process.once('beforeExit', () =>
    die(log, undefined, 'nothing left to wait for, but the service has not ended'),
  );

  function onSignal(signal: 'SIGTERM' | 'SIGINT'): void {
    if (stop.aborted) {
      log.warn({ signal }, 'second signal; exiting immediately');
      process.exit(128 + constants.signals[signal]);
    }
    const graceMs = options.graceMs(config);
    log.info({ signal, graceMs }, 'stopping');
    let stepsLeft = graceSteps;
    setInterval(() => {
      stepsLeft -= 1;
      if (stepsLeft === 0) die(log, undefined, `did not stop within ${graceMs} ms`);
    }, graceMs / graceSteps);
    stopping.abort();
  }
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  log.info(
    {
      ...readBuildInfo(),
      node: process.version,
      pid: process.pid,
      settings: publicSettings(options.schema, config),
    },
    'starting',
  );
  try {
    await options.run({ config, log, stop });
  } catch (error) {
    if (!isStopReason(error, stop)) {
      die(log, error, 'service failed');
    }
  }
  log.info('ended');
  process.exit(0);
}

function configOrExit<S extends z.ZodObject>(service: string, schema: S): Readonly<z.output<S>> {
  try {
    return readConfig(schema, process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    process.stderr.write(`${service}: ${error.message}\n`);
    return process.exit(error.exitCode);
  }
}

function levelOf(config: unknown): string {
  return typeof config === 'object' &&
    config !== null &&
    'LOG_LEVEL' in config &&
    typeof config.LOG_LEVEL === 'string'
    ? config.LOG_LEVEL
    : 'info';
}

function die(log: Logger, error: unknown, message: string): never {
  log.fatal({ error }, message);
  process.exit(1);
}

// Waits reject with the stop's reason itself, or with an error that it caused.
function isStopReason(error: unknown, stop: AbortSignal): boolean {
  let link = error;
  // Bounded, because a chain of causes may be circular.
  for (let depth = 0; stop.aborted && depth < 10; depth += 1) {
    if (link === stop.reason) {
      return true;
    }
    link = link instanceof Error ? link.cause : undefined;
  }
  return false;
}
