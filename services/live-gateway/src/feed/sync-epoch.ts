import type { Redis } from 'ioredis';
import type { Logger } from '@app/runtime/log';
import { readEpoch } from './epoch.ts';
import { isNotPermitted, isWriteRefused } from './stream-info.ts';
import type { StreamCursor } from './stream-cursor.ts';
import type { Timeline } from './timeline.ts';

export type SyncEpoch = (cursor: StreamCursor, nowMs: number) => Promise<boolean>;

/**
 * Keeps the timeline's epochs equal to those in Redis. Where the Redis user may not write epochs, this process keeps its
 * own: then only clients of this process can resume. So it does while Redis refuses writes, and tries again.
 *
 * @returns a function that resolves to whether the stream's epoch has changed.
 */
export function createSyncEpoch(redis: Redis, timeline: Timeline, log: Logger): SyncEpoch {
  let isDisabled = false;
  const refused = new Set<string>();
  return async (cursor, nowMs) => {
    if (isDisabled) return false;
    const invalidated = timeline.invalidatedEpoch(cursor);
    let epoch: string;
    try {
      epoch = await readEpoch(redis, cursor.stream, invalidated, nowMs);
      if (refused.delete(cursor.stream)) log.info({ stream: cursor.stream }, 'shared epoch written again');
    } catch (error) {
      if (isWriteRefused(error)) {
        if (!refused.has(cursor.stream))
          log.warn(
            { stream: cursor.stream, error },
            'Redis refuses to write the shared epoch; clients resume on this replica only until it does',
          );
        refused.add(cursor.stream);
        return false;
      }
      if (!isNotPermitted(error)) throw error;
      isDisabled = true;
      log.info(
        'shared epochs disabled: Redis user lacks GET, SET or WATCH; clients resume on this replica only',
      );
      return false;
    }
    // An epoch invalidated while Redis answered is replaced in the next iteration.
    return timeline.invalidatedEpoch(cursor) === invalidated && timeline.setEpoch(cursor, epoch);
  };
}
