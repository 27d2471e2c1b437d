import type { Redis } from 'ioredis';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { StreamCursor } from './stream-cursor.ts';
import { isNoSuchKey, readPairs } from './stream-info.ts';

/** A bookmark that stands so far behind the end of its stream belongs to no living gateway. */
const staleAfterMs = 3_600_000;

/**
 * Sets this instance's bookmark to its place: a consumer group that nobody reads with, so that XINFO GROUPS shows
 * each gateway's place and lag. A lost one is made again; a stream that does not exist has none.
 */
export async function setLagMarker(redis: Redis, group: string, place: StreamCursor): Promise<void> {
  const { stream, appliedId, entriesRead } = place;
  if (appliedId === undefined) return;
  // Without ENTRIESREAD Redis knows no lag for a group that stands in the middle.
  const position: [string, ...string[]] =
    entriesRead === undefined ? [appliedId] : [appliedId, 'ENTRIESREAD', String(entriesRead)];
  try {
    await redis.call('XGROUP', 'SETID', stream, group, ...position);
  } catch (error) {
    if (isNoSuchKey(error)) return;
    if (!isNoGroup(error)) throw error;
    await createBookmark(redis, group, stream, position);
  }
}

/**
 * Redis' user may not XGROUP. That is right, and wished for: who may move a bookmark may also move the processor's
 * group, for Redis knows no rights on single groups.
 */
export function isNotPermitted(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOPERM');
}

async function createBookmark(
  redis: Redis,
  group: string,
  stream: string,
  position: readonly string[],
): Promise<void> {
  try {
    await redis.call('XGROUP', 'CREATE', stream, group, ...position);
  } catch (error) {
    // Another turn, or another gateway under the same name, was faster: the next turn moves it.
    if (!isNoSuchKey(error) && !isBusyGroup(error)) throw error;
  }
}

async function destroyBookmark(redis: Redis, group: string, stream: string): Promise<void> {
  try {
    await redis.call('XGROUP', 'DESTROY', stream, group);
  } catch (error) {
    // Where none may be made there is none.
    if (!isNoSuchKey(error) && !isNotPermitted(error)) throw error;
  }
}

/** Takes this instance's bookmarks away, for a clean exit. */
export async function destroyLagMarkers(
  redis: Redis,
  group: string,
  streams: readonly string[],
): Promise<void> {
  for (const stream of streams) await destroyBookmark(redis, group, stream);
}

/** Destroys the bookmarks that gateways which died without a clean exit have left; returns their names. */
export async function removeStaleLagMarkers(
  redis: Redis,
  stream: string,
  streamEndId: string,
  groupPrefix: string,
): Promise<readonly string[]> {
  const reply = await redis.call('XINFO', 'GROUPS', stream);
  const groups = (Array.isArray(reply) ? reply.map(readPairs) : []).map((pairs) => ({
    name: String(pairs.get('name')),
    lastDeliveredId: String(pairs.get('last-delivered-id')),
  }));
  const stale = staleLagMarkers(groups, streamEndId, groupPrefix);
  for (const name of stale) await destroyBookmark(redis, name, stream);
  return stale;
}

/**
 * A living gateway moves its bookmark once a second, so one that is an hour behind the stream stands still while the
 * stream moves on. Where nothing moves nothing is stale: then no group grows a lag either.
 */
export function staleLagMarkers(
  groups: readonly { readonly name: string; readonly lastDeliveredId: string }[],
  streamEndId: string,
  groupPrefix: string,
): readonly string[] {
  const endMs = entryArrivedAtMs(streamEndId);
  return groups
    .filter(({ name }) => name.startsWith(groupPrefix))
    .filter(({ lastDeliveredId }) => endMs - entryArrivedAtMs(lastDeliveredId) > staleAfterMs)
    .map(({ name }) => name);
}

function isNoGroup(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('NOGROUP');
}

function isBusyGroup(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('BUSYGROUP');
}
