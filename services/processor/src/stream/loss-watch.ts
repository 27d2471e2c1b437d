import type { Logger } from '@app/runtime/log';
import type { Metrics } from '../metrics.ts';
import type { GroupMember } from './consumer-group.ts';
import {
  countBehind,
  countRemoved,
  detectLoss,
  type Loss,
  parseStanding,
  type StreamStanding,
} from './detect-loss.ts';
import type { StreamConnection } from './stream-connection.ts';

// Redis 7.0 leaves what was trimmed unread out of the group's `entries-read` for ever: every consumer, and each
// process after this one, would find it again beside the next loss. So the group is told that these are behind
// it. Where it stands is not moved, and nothing is done if it has moved meanwhile or another consumer has told it.
const settleScript = `
  for _, flat in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
    local group = {}
    for i = 1, #flat, 2 do group[flat[i]] = flat[i + 1] end
    if group.name == ARGV[1] and group['last-delivered-id'] == ARGV[2]
       and tostring(group['entries-read'] or 0) == ARGV[3] then
      local read = ARGV[3] + ARGV[4]
      redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[2], 'ENTRIESREAD', read)
      return 1
    end
  end
  return 0`;

export interface LossWatchOptions extends GroupMember {
  readonly deadlineMs: number;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Finds entries that were trimmed or deleted before the group was given them, counts them and says which. */
export class LossWatch {
  readonly #options: LossWatchOptions;
  /** How far losses are told: once the group stands at `afterId`, so many have left the stream, read or told. */
  #told: { readonly afterId: string; readonly removed: number } | undefined;
  /** Told after a read had shown it: the group has not been told yet. */
  #isUnsettled = false;

  constructor(options: LossWatchOptions) {
    this.#options = options;
  }

  /**
   * To be called before a read. What only the read itself could see, it would see once: with a lost answer
   * the loss would be forgotten, for by then the group has moved on.
   */
  async look(connection: StreamConnection): Promise<void> {
    const { stream, group, deadlineMs } = this.#options;
    const [streamInfo, groups] = await connection.transaction(
      [
        { command: 'XINFO', args: ['STREAM', stream] },
        { command: 'XINFO', args: ['GROUPS', stream] },
      ],
      deadlineMs,
    );
    const standing = parseStanding(streamInfo, groups, group);
    this.#isUnsettled = false;
    if (standing === undefined) return;
    const loss = this.#tell(standing);
    const uncounted =
      loss?.isExact === true ? loss.entries : Math.max(countBehind(standing), this.#toldBehind(standing));
    if (uncounted === 0) return;
    const { lastDeliveredId, entriesRead } = standing;
    const args = [settleScript, 1, stream, group, lastDeliveredId, entriesRead ?? 0, uncounted];
    await connection.call('EVAL', args, deadlineMs);
    this.#told = undefined;
  }

  /**
   * Takes XINFO STREAM and XINFO GROUPS of one moment, and the ids that the group was given in the same moment. Tells
   * of the loss that they show, once; it is for `settle` to tell the group, which stands behind these ids by now.
   */
  note(streamInfo: unknown, groups: unknown, givenIds: readonly string[]): void {
    const standing = parseStanding(streamInfo, groups, this.#options.group);
    if (standing === undefined || this.#tell(standing)?.isExact !== true) return;
    this.#told = {
      afterId: givenIds.at(-1) ?? standing.lastDeliveredId,
      removed: countRemoved(standing) + givenIds.length,
    };
    this.#isUnsettled = true;
  }

  /** To be called after a read, when what it gave is safe, and before the next one moves the group. */
  async settle(connection: StreamConnection): Promise<void> {
    if (this.#isUnsettled) await this.look(connection);
  }

  #tell(standing: StreamStanding): Loss | undefined {
    const { stream, metrics, log } = this.#options;
    const loss = detectLoss(standing);
    if (loss === undefined) return undefined;
    const removed = countRemoved(standing);
    // The group may still stand where it stood at the telling. If it was settled, without an answer, its counter has that already.
    const entries =
      this.#told?.afterId === loss.afterId
        ? removed - Math.max(this.#told.removed, standing.entriesRead ?? 0)
        : loss.entries;
    if (entries <= 0) return loss;
    this.#told = { afterId: loss.afterId, removed };
    metrics.entriesLost.inc(entries);
    log.error({ stream, ...loss, entries }, 'entries lost before delivery; give the stream a longer MAXLEN');
    return loss;
  }

  /** What was told and passed over, and the group's counter misses still. */
  #toldBehind({ lastDeliveredId, entriesRead }: StreamStanding): number {
    if (entriesRead === null || this.#told?.afterId !== lastDeliveredId) return 0;
    return Math.max(0, this.#told.removed - entriesRead);
  }
}
