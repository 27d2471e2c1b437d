import type { Redis } from 'ioredis';
import { readStreamInfo } from './stream-info.ts';
import type { StreamCursor, StreamInfo } from './stream-cursor.ts';

/**
 * Checks whether a stream was deleted or restored from a backup while it is being read: XREAD from the old id would
 * wait for ids that may never be reached. If it was, moves the cursor to the stream's last entry.
 */
export async function checkForRewind(
  redis: Redis,
  cursor: StreamCursor,
): Promise<{ readonly info: StreamInfo; readonly isRewound: boolean }> {
  const { appliedId } = cursor;
  const info = await readStreamInfo(redis, cursor.stream);
  // If entries were applied while Redis answered, `info` is older than the cursor and proves nothing.
  const isComparable = appliedId !== undefined && cursor.appliedId === appliedId;
  return { info, isRewound: isComparable && cursor.relocate(info, 0) };
}
