import { parseInfo, text, list } from './entry-reply.ts';
import type { StreamConnection } from './stream-connection.ts';

/** A group of consumers on one stream, and this process' place in it. */
export interface GroupMember {
  readonly stream: string;
  readonly group: string;
  /** Stable across restarts: a new name would leave the old one's pending entries to be claimed. */
  readonly consumer: string;
}

/** Creates the group if it is not there, at 0 and never at `$`: what is in the stream is not ours to skip. */
export async function ensureGroup(
  connection: StreamConnection,
  member: GroupMember,
  deadlineMs: number,
): Promise<'created' | 'existed'> {
  try {
    await connection.call('XGROUP', ['CREATE', member.stream, member.group, '0', 'MKSTREAM'], deadlineMs);
    return 'created';
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('BUSYGROUP')) return 'existed';
    throw error;
  }
}

/** The stream or the group is gone: FLUSHALL, a failover that went back in time, DEL, XGROUP DESTROY. */
export function isGroupMissing(error: unknown): boolean {
  return error instanceof Error && /^(NOGROUP|UNBLOCKED|ERR no such key)/u.test(error.message);
}

/**
 * Kills connections that carry this name: readers of a process that died without closing its sockets. Such
 * a reader is still blocked inside Redis and would be handed the next entry.
 *
 * @param onlyId of these the one with this client id, if it still is: a Redis that was restarted counts its clients
 * from 1 again, and the id may be a stranger's.
 */
export async function killConnectionsByName(
  connection: StreamConnection,
  name: string,
  deadlineMs: number,
  onlyId?: number,
): Promise<number> {
  const which = onlyId === undefined ? [] : ['ID', onlyId];
  const clients = text(await connection.call('CLIENT', ['LIST', ...which], deadlineMs));
  let killed = 0;
  for (const client of clients.split('\n')) {
    const id = /(?:^| )id=(\d+)/u.exec(client)?.[1];
    const clientName = /(?:^| )name=(\S*)/u.exec(client)?.[1];
    if (id === undefined || clientName !== name || Number(id) === connection.clientId) continue;
    await connection.call('CLIENT', ['KILL', 'ID', id], deadlineMs);
    killed += 1;
  }
  return killed;
}

// One script, so that no entry can become pending between the check and the removal:
// DELCONSUMER makes what is still pending there unclaimable.
const removeScript = `
  local removed = {}
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
    if consumer.name ~= ARGV[2] and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[3]) then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
      removed[#removed + 1] = consumer.name
    end
  end
  return removed`;

/** Removes consumers that have been idle for `goneMs` and have nothing pending; returns their names. */
export async function deleteIdleConsumers(
  connection: StreamConnection,
  member: GroupMember,
  goneMs: number,
  deadlineMs: number,
): Promise<readonly string[]> {
  const args = [removeScript, 1, member.stream, member.group, member.consumer, goneMs];
  return list(await connection.call('EVAL', args, deadlineMs)).map(text);
}

/** How many entries the stream holds, or undefined if there is no such key. */
export async function streamLength(
  connection: StreamConnection,
  stream: string,
  deadlineMs: number,
): Promise<number | undefined> {
  try {
    return Number(parseInfo(await connection.call('XINFO', ['STREAM', stream], deadlineMs)).get('length'));
  } catch (error) {
    if (isGroupMissing(error)) return undefined;
    throw error;
  }
}
