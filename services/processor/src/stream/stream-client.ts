import { compareEntryIds } from '@app/shared/entry';
import type { GroupMember } from './consumer-group.ts';
import {
  type ClaimReply,
  type EntriesReply,
  parseClaimReply,
  parseDeliveries,
  parseEntriesReply,
} from './entry-reply.ts';
import { parseGroupState, type GroupState } from './group-state.ts';
import { commandDeadlineMs, type StreamConnection } from './stream-connection.ts';

/** How much longer than BLOCK a reply may take before the connection counts as dead. */
export const replyGraceMs = 2000;

/** The commands with which one consumer reads one stream, typed. All reject with the connection's error or Redis' own. */
export class StreamClient {
  readonly #connection: StreamConnection;
  readonly #member: GroupMember;

  constructor(connection: StreamConnection, member: GroupMember) {
    this.#connection = connection;
    this.#member = member;
  }

  /** XREADGROUP of entries never delivered; waits up to `blockMs` for the first. */
  async readNew(count: number, blockMs?: number): Promise<EntriesReply> {
    const block = blockMs === undefined ? [] : ['BLOCK', blockMs];
    const deadlineMs = blockMs === undefined ? commandDeadlineMs : blockMs + replyGraceMs;
    return this.#readGroup(count, block, '>', deadlineMs);
  }

  /** XREADGROUP of this consumer's own pending entries after an id. */
  async readPending(count: number, afterId: string): Promise<EntriesReply> {
    return this.#readGroup(count, [], afterId, commandDeadlineMs);
  }

  async #readGroup(
    count: number,
    block: readonly (string | number)[],
    fromId: string,
    deadlineMs: number,
  ): Promise<EntriesReply> {
    const { stream, group, consumer } = this.#member;
    const args = ['GROUP', group, consumer, 'COUNT', count, ...block, 'STREAMS', stream, fromId];
    return this.#connection.call('XREADGROUP', args, deadlineMs, parseEntriesReply);
  }

  /** XAUTOCLAIM: takes over entries pending for `minIdleMs`. Examines a bounded number per call; the cursor continues. */
  async autoclaim(minIdleMs: number, cursor: string, count: number): Promise<ClaimReply> {
    const { stream, group, consumer } = this.#member;
    const args = [stream, group, consumer, minIdleMs, cursor, 'COUNT', count];
    return this.#connection.call('XAUTOCLAIM', args, commandDeadlineMs, parseClaimReply);
  }

  /** XPENDING: how often this consumer's pending entries in an id range were delivered, at most `count` of them. */
  async deliveries(firstId: string, lastId: string, count: number): Promise<ReadonlyMap<string, number>> {
    const { stream, group, consumer } = this.#member;
    const args = [stream, group, firstId, lastId, count, consumer];
    return parseDeliveries(await this.#connection.call('XPENDING', args, commandDeadlineMs));
  }

  /** XINFO STREAM and XINFO GROUPS; undefined if the group does not exist. */
  async groupState(): Promise<GroupState | undefined> {
    const { stream, group } = this.#member;
    const [streamInfo, groups] = await Promise.all([
      this.#connection.call('XINFO', ['STREAM', stream], commandDeadlineMs),
      this.#connection.call('XINFO', ['GROUPS', stream], commandDeadlineMs),
    ]);
    return parseGroupState(streamInfo, groups, group);
  }
}

/** The largest of some ids, or `fallback`. */
export function maxEntryId(ids: readonly string[], fallback: string): string {
  return ids.reduce((max, id) => (compareEntryIds(id, max) > 0 ? id : max), fallback);
}
