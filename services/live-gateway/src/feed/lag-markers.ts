import type { Redis } from 'ioredis';
import type { Logger } from '@app/runtime/log';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { StreamCursor } from './stream-cursor.ts';
import { isNoSuchKey, isNotPermitted, readPairs } from './stream-info.ts';

/** A running gateway moves its group every second, so one this far behind the stream's end belongs to a dead gateway. */
const staleAfterMs = 3_600_000;

/**
 * This instance's lag-marker group on each stream: the consumer group `live-broadcast-{INSTANCE_ID}`, set to the
 * gateway's offset so that XINFO GROUPS shows the gateway and its lag. Nothing is read through it.
 */
export class LagMarkers {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #group: string;
  readonly #log: Logger;
  readonly #cleanedStreams = new Set<string>();
  #isDisabled = false;

  /** @param prefix group names of all gateways start with it. */
  constructor(redis: Redis, prefix: string, instanceId: string, log: Logger) {
    this.#redis = redis;
    this.#prefix = `${prefix}-`;
    this.#group = `${prefix}-${instanceId}`;
    this.#log = log;
  }

  /** Moves the group to the cursor. The first time, also deletes the stream's stale groups. */
  async update(cursor: StreamCursor, streamEndId: string): Promise<void> {
    if (this.#isDisabled) return;
    const { stream } = cursor;
    try {
      if (!(await setGroup(this.#redis, this.#group, cursor))) return;
    } catch (error) {
      if (!isNotPermitted(error)) throw error;
      this.#isDisabled = true;
      this.#log.info({ group: this.#group }, 'lag-marker group disabled: Redis user lacks XGROUP');
      return;
    }
    if (this.#cleanedStreams.has(stream)) return;
    const groups = await destroyStaleGroups(this.#redis, stream, streamEndId, this.#prefix);
    this.#cleanedStreams.add(stream);
    if (groups.length > 0) this.#log.info({ stream, groups }, 'deleted stale lag-marker groups');
  }

  /** Deletes this instance's groups. */
  async destroy(streams: readonly string[]): Promise<void> {
    for (const stream of streams) await destroyGroup(this.#redis, this.#group, stream);
  }
}

/** Sets the group to the cursor, creating it if it is missing. @returns false if the stream does not exist. */
async function setGroup(redis: Redis, group: string, cursor: StreamCursor): Promise<boolean> {
  const { stream, appliedId, entriesRead } = cursor;
  if (appliedId === undefined) return false;
  // Without ENTRIESREAD Redis reports no lag for a group in the middle of the stream.
  const target = entriesRead === undefined ? [appliedId] : [appliedId, 'ENTRIESREAD', String(entriesRead)];
  try {
    await redis.call('XGROUP', 'SETID', stream, group, ...target);
  } catch (error) {
    if (isNoSuchKey(error)) return false;
    if (!startsWith(error, 'NOGROUP')) throw error;
    await createGroup(redis, group, stream, target);
  }
  return true;
}

async function createGroup(
  redis: Redis,
  group: string,
  stream: string,
  target: readonly string[],
): Promise<void> {
  try {
    await redis.call('XGROUP', 'CREATE', stream, group, ...target);
  } catch (error) {
    // BUSYGROUP: a gateway with the same INSTANCE_ID was faster; the next update moves the group.
    if (!isNoSuchKey(error) && !startsWith(error, 'BUSYGROUP')) throw error;
  }
}

async function destroyGroup(redis: Redis, group: string, stream: string): Promise<void> {
  try {
    await redis.call('XGROUP', 'DESTROY', stream, group);
  } catch (error) {
    // A user that may not destroy groups has created none.
    if (!isNoSuchKey(error) && !isNotPermitted(error)) throw error;
  }
}

async function destroyStaleGroups(
  redis: Redis,
  stream: string,
  streamEndId: string,
  prefix: string,
): Promise<readonly string[]> {
  const reply = await redis.xinfo('GROUPS', stream);
  const groups = (Array.isArray(reply) ? reply.map(readPairs) : []).map((pairs) => ({
    name: String(pairs.get('name')),
    lastDeliveredId: String(pairs.get('last-delivered-id')),
  }));
  const stale = staleGroups(groups, streamEndId, prefix);
  for (const name of stale) await destroyGroup(redis, name, stream);
  return stale;
}

/** The groups with the prefix that are more than an hour behind the stream's end. An idle stream has no stale groups. */
function staleGroups(
  groups: readonly { readonly name: string; readonly lastDeliveredId: string }[],
  streamEndId: string,
  prefix: string,
): readonly string[] {
  const endMs = entryArrivedAtMs(streamEndId);
  return groups
    .filter(({ name }) => name.startsWith(prefix))
    .filter(({ lastDeliveredId }) => endMs - entryArrivedAtMs(lastDeliveredId) > staleAfterMs)
    .map(({ name }) => name);
}

function startsWith(error: unknown, code: string): boolean {
  return error instanceof Error && error.message.startsWith(code);
}
