import type { Logger } from '@app/runtime/log';
import { classifyPostgresError } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { retry } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import type { AfterWrite } from '../pipeline/after-write.ts';
import { type DirtyDevice, markDirty } from './dirty-devices.ts';
import type { RunningDevices } from './running-devices.ts';
import { encodeStoredFix, fixesField, storedStream } from './stored-fixes.ts';

/** Both together bound what a stream holds, to about 60 MB; at 2,000 fixes/s that is a minute. */
const maxFixesPerEntry = 200;
const maxEntries = 4000;
/** A stream that nobody appends to any more is deleted. */
const expireAfterS = 86_400;

interface Announcement extends DirtyDevice {
  readonly row: string;
}

/**
 * Announces stored fixes to the evaluators of running events, at least once: after the commit and before the
 * acknowledgement they are appended to `stored:<event>`. If Redis refuses, the devices are marked dirty in Postgres
 * instead. Never refuses a fix, and waits only where storing itself would: for a Postgres that does not answer.
 */
export function createStoredFixesStep(options: {
  readonly redis: Redis;
  readonly postgres: PostgresClient;
  readonly devices: RunningDevices;
  readonly metrics: Metrics;
  readonly log: Logger;
}): AfterWrite {
  const { redis, postgres, devices, metrics, log } = options;
  let isRefused = false;

  return async (transitions, { signal, repeated }) => {
    const announced: Announcement[] = [];
    for (const { fix } of transitions) {
      const { deviceId } = fix.position;
      for (const eventId of devices.eventIdsOf(deviceId)) {
        announced.push({ eventId, deviceId, row: encodeStoredFix(fix, repeated.has(fix)) });
      }
    }
    if (announced.length === 0) return;
    const { refused, error } = await append(redis, announced);
    metrics.storedFixes.inc({ result: 'appended' }, announced.length - refused.length);
    if (refused.length === 0) {
      if (isRefused) log.info('Redis accepts stored fixes again');
      isRefused = false;
      return;
    }
    metrics.storedFixes.inc({ result: 'refused' }, refused.length);
    if (!isRefused) {
      log.warn({ error }, 'Redis refuses stored fixes; their devices are marked in dirty_entries instead');
    }
    isRefused = true;
    try {
      await retry(() => postgres.run((sql) => markDirty(sql, refused), 'marking devices dirty'), {
        signal,
        isRetryable: (failure) => classifyPostgresError(failure) === 'transient',
      });
    } catch (failure) {
      signal.throwIfAborted();
      log.error(
        { error: failure },
        'stored fixes can be announced neither in Redis nor in Postgres; results may lack them until the evaluation restarts',
      );
    }
  };
}

/** Returns what was not appended, as far as is known, and one of the reasons. */
async function append(
  redis: Redis,
  announced: readonly Announcement[],
): Promise<{ readonly refused: readonly Announcement[]; readonly error?: unknown }> {
  const entries: Announcement[][] = [];
  for (const ofEvent of Map.groupBy(announced, ({ eventId }) => eventId).values()) {
    for (let at = 0; at < ofEvent.length; at += maxFixesPerEntry) {
      entries.push(ofEvent.slice(at, at + maxFixesPerEntry));
    }
  }
  const pipeline = redis.pipeline();
  for (const entry of entries) {
    const key = storedStream(entry[0]?.eventId ?? '');
    const fixes = `[${entry.map(({ row }) => row).join(',')}]`;
    pipeline.xadd(key, 'MAXLEN', '~', maxEntries, '*', fixesField, fixes);
    pipeline.expire(key, expireAfterS);
  }
  let replies: Awaited<ReturnType<typeof pipeline.exec>>;
  try {
    replies = await pipeline.exec();
  } catch (error) {
    return { refused: announced, error };
  }
  const errors = entries.map((_, at) => replies?.[2 * at]?.[0]);
  const refused = entries.filter((_, at) => errors[at] !== null).flat();
  return { refused, error: errors.find((error) => error !== null) };
}
