import { parseInfo, text, list } from './entry-reply.ts';
import { commandDeadlineMs, type StreamConnection } from './stream-connection.ts';

/** One consumer of a consumer group on one stream. */
export interface GroupMember {
  readonly stream: string;
  readonly group: string;
  /** Must be the same after a restart: the pending entries of another name wait to be claimed. */
  readonly consumer: string;
}

/** Creates the group if it is missing, at 0 and never at `$`, which would skip the entries in the stream. */
export async function ensureGroup(
  connection: StreamConnection,
  member: GroupMember,
): Promise<'created' | 'existed'> {
  // XGROUP CREATE is refused at `maxmemory`, also where the group exists.
  if (await hasGroup(connection, member)) return 'existed';
  try {
    await connection.call(
      'XGROUP',
      ['CREATE', member.stream, member.group, '0', 'MKSTREAM'],
      commandDeadlineMs,
    );
    return 'created';
  } catch (error) {
    if (error instanceof Error && error.message.startsWith('BUSYGROUP')) return 'existed';
    throw error;
  }
}

async function hasGroup(connection: StreamConnection, { stream, group }: GroupMember): Promise<boolean> {
  try {
    const groups = list(await connection.call('XINFO', ['GROUPS', stream], commandDeadlineMs));
    return groups.some((each) => text(parseInfo(each).get('name')) === group);
  } catch (error) {
    if (isGroupMissing(error)) return false;
    throw error;
  }
}

/** Whether the stream or the group is missing: FLUSHALL, DEL, XGROUP DESTROY, or a failover to an older replica. */
export function isGroupMissing(error: unknown): boolean {
  return error instanceof Error && /^(NOGROUP|UNBLOCKED|ERR no such key)/u.test(error.message);
}

/**
 * Kills other connections with this name: readers of a process that died without closing its sockets. Such a reader is
 * still blocked in Redis and would be sent the next entry.
 *
 * @param onlyId kills only the connection with this client id, if it has the name: a restarted Redis reuses ids.
 */
export async function killConnectionsByName(
  connection: StreamConnection,
  name: string,
  onlyId?: number,
): Promise<number> {
  const others = await otherConnections(connection, name, onlyId);
  for (const { id } of others) await connection.call('CLIENT', ['KILL', 'ID', id], commandDeadlineMs);
  return others.length;
}

/** Other connections with this name, or those of them with this client id. */
export async function otherConnections(
  connection: StreamConnection,
  name: string,
  onlyId?: number,
): Promise<readonly { readonly id: string; readonly address: string }[]> {
  const which = onlyId === undefined ? [] : ['ID', onlyId];
  const clients = text(await connection.call('CLIENT', ['LIST', ...which], commandDeadlineMs));
  return clients.split('\n').flatMap((client) => {
    const value = (field: string): string | undefined =>
      new RegExp(`(?:^| )${field}=(\\S*)`, 'u').exec(client)?.[1];
    const id = value('id');
    if (id === undefined || value('name') !== name || Number(id) === connection.clientId) return [];
    return [{ id, address: value('addr') ?? '' }];
  });
}

/** Name of the connection that reads; one process has one per stream. */
export function readerName({ stream, group, consumer }: GroupMember): string {
  return `${group}:${consumer}:${stream}:reader`;
}

// A script, so that no entry can become pending between the check and DELCONSUMER, which drops the pending entries of the
// consumer.
const deleteIdleScript = `
  local deleted = {}
  for _, flat in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
    local consumer = {}
    for i = 1, #flat, 2 do consumer[flat[i]] = flat[i + 1] end
    if consumer.name ~= ARGV[2] and consumer.pending == 0 and consumer.idle >= tonumber(ARGV[3]) then
      redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
      deleted[#deleted + 1] = consumer.name
    end
  end
  return deleted`;

/** Deletes other consumers that have been idle for `idleMs` and have nothing pending; returns their names. */
export async function deleteIdleConsumers(
  connection: StreamConnection,
  member: GroupMember,
  idleMs: number,
): Promise<readonly string[]> {
  const args = [deleteIdleScript, 1, member.stream, member.group, member.consumer, idleMs];
  return list(await connection.call('EVAL', args, commandDeadlineMs)).map(text);
}

/** Length of the stream, or undefined if it does not exist. */
export async function streamLength(
  connection: StreamConnection,
  stream: string,
): Promise<number | undefined> {
  try {
    return Number(
      parseInfo(await connection.call('XINFO', ['STREAM', stream], commandDeadlineMs)).get('length'),
    );
  } catch (error) {
    if (isGroupMissing(error)) return undefined;
    throw error;
  }
}
