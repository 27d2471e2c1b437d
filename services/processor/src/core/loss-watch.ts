import type { Logger } from '@app/runtime/log';
import type { Metrics } from '../metrics.ts';
import type { GroupMember } from './consumer-group.ts';
import { countBehind, detectLoss, type Loss, parseStanding, type StreamStanding } from './detect-loss.ts';
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
  /** When a loss was told last: where the group stood, and how many had left the stream. */
  #told: { readonly afterId: string; readonly removed: number } | undefined;

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
        ['XINFO', 'STREAM', stream],
        ['XINFO', 'GROUPS', stream],
      ],
      deadlineMs,
    );
    const standing = parseStanding(streamInfo, groups, group);
    if (standing === undefined) return;
    const loss = this.#tell(standing);
    const uncounted = loss?.isExact === true ? loss.entries : countBehind(standing);
    if (uncounted === 0) return;
    const { lastDeliveredId, entriesRead } = standing;
    const args = [settleScript, 1, stream, group, lastDeliveredId, entriesRead ?? 0, uncounted];
    await connection.call('EVAL', args, deadlineMs);
    this.#told = undefined;
  }

  /** Takes XINFO STREAM and XINFO GROUPS of one moment, and tells of the loss that they show, once. */
  note(streamInfo: unknown, groups: unknown): void {
    const standing = parseStanding(streamInfo, groups, this.#options.group);
    if (standing !== undefined) this.#tell(standing);
  }

  #tell(standing: StreamStanding): Loss | undefined {
    const { stream, metrics, log } = this.#options;
    const loss = detectLoss(standing);
    if (loss === undefined) return undefined;
    // The group may still stand before what was told. If it was settled, without an answer, its counter has that already.
    const told =
      this.#told?.afterId === loss.afterId
        ? Math.max(0, this.#told.removed - (standing.entriesRead ?? 0))
        : 0;
    const entries = loss.entries - told;
    if (entries <= 0) return loss;
    this.#told = { afterId: loss.afterId, removed: standing.entriesAdded - standing.length };
    metrics.entriesLost.inc(entries);
    log.error(
      { stream, ...loss, entries },
      'entries were trimmed or deleted before they were ever delivered: give the stream more room',
    );
    return loss;
  }
}
