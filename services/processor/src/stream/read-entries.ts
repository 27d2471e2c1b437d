import { DeadlineError } from '@app/runtime/deadline';
import type { Logger } from '@app/runtime/log';
import { delay, fullJitterMs } from '@app/runtime/retry';
import { compareEntryIds } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import {
  ensureGroup,
  type GroupMember,
  isGroupMissing,
  killConnectionsByName,
  deleteIdleConsumers,
  streamLength,
} from './consumer-group.ts';
import {
  type EntriesReply,
  type Entry,
  parseDeliveries,
  parseClaimReply,
  parseEntriesReply,
} from './entry-reply.ts';
import { LossWatch } from './loss-watch.ts';
import { StreamConnection } from './stream-connection.ts';

/** What one turn of the reader hands to the pipeline. */
export interface EntryBatch {
  readonly entries: readonly Entry[];
  /** Pending ids whose bodies are gone from the stream: nothing is left to do but to acknowledge them. */
  readonly vanishedIds: readonly string[];
  /** Entries delivered so often that one of them may be what ended the process before. */
  readonly isQuarantined: boolean;
}

export interface ReaderOptions extends GroupMember {
  readonly redisUrl: string;
  /** Sends CLIENT UNBLOCK at the stop; the reader's own connection is the one that blocks. */
  readonly commands: Redis;
  readonly readCount: number;
  readonly batchSize: number;
  /** About how many bytes a read may bring: an entry may be as large as its producer likes. */
  readonly batchBytes: number;
  readonly blockMs: number;
  readonly lingerMs: number;
  readonly claimIdleMs: number;
  readonly claimIntervalMs: number;
  readonly consumerGoneMs: number;
  readonly maxDeliveries: number;
  /**
   * Ids in flight here or still owing their ack: they are dropped from every read of pending entries and every claim.
   * Not from reads of new ones: a group that was made again gives them anew, and one whose ack came before that would
   * stay pending.
   */
  readonly excludedIds: () => ReadonlySet<string>;
  /** Called at each turn: a read answered, a deadline missed, a retry begun. Liveness is made of these. */
  readonly onProgress: () => void;
  readonly metrics: Metrics;
  readonly log: Logger;
}

/** Beyond BLOCK, how long a reply may take before the connection is taken for dead. */
export const replyGraceMs = 2000;
const groupLostPauseMs = 1000;
const unblockIntervalMs = 100;
const longestPauseMs = 5000;
const largeEntryBytes = 128 * 1024;
/** As many as are tried alone after a death: few enough for that to be over soon, and enough to be fast without one. */
const suspectsAtOnce = 100;

/**
 * Reads one stream for one consumer: first its own pending entries, then those that another consumer left,
 * then new ones. After every doubt (start, lost connection, missed deadline) the connection is a new one, the
 * old one is killed in Redis, and the own pending entries come first again: a half-open reader may have been
 * handed entries that never arrived here.
 */
export class EntryReader {
  readonly #options: ReaderOptions;
  readonly #losses: LossWatch;
  readonly #queue: EntryBatch[] = [];
  #connection: StreamConnection | undefined;
  #staleClientId: number | undefined;
  #hasEverConnected = false;
  #failures = 0;
  /** Where the drain of the own pending entries stands; undefined when it is done. */
  #pendingCursor: string | undefined = '0';
  #claimCursor = '0-0';
  /** What an entry is taken to weigh before it is read; large at first, for those before may have ended the process. */
  #entryBytes = largeEntryBytes;
  #nextClaimAtMs = 0;

  constructor(options: ReaderOptions) {
    this.#options = options;
    this.#losses = new LossWatch({ ...options, deadlineMs: 5000 });
  }

  /** The next batch, or undefined once `stop` has been asked for and nothing is left in hand. */
  async next(stop: AbortSignal): Promise<EntryBatch | undefined> {
    for (;;) {
      const batch = this.#queue.shift();
      if (batch !== undefined) return batch;
      if (stop.aborted) return undefined;
      try {
        const connection = this.#connection ?? (await this.#connect());
        await this.#turn(connection, stop);
        this.#failures = 0;
      } catch (error) {
        await this.#recover(error, stop);
      }
      this.#options.onProgress();
    }
  }

  /** Drops the connection; what was read and not handed on stays pending. */
  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async #turn(connection: StreamConnection, stop: AbortSignal): Promise<void> {
    if (this.#pendingCursor !== undefined) await this.#readPending(connection, this.#pendingCursor);
    else if (Date.now() >= this.#nextClaimAtMs) await this.#claim(connection);
    else await this.#readNew(connection, stop);
  }

  /** Own entries that were delivered and never acknowledged, a page at a time. */
  async #readPending(connection: StreamConnection, cursor: string): Promise<void> {
    const readCount = this.#countFor(this.#options.readCount);
    const excluded = this.#idsToExclude();
    const page = await connection.call(
      'XREADGROUP',
      this.#readArgs(readCount, cursor),
      5000,
      parseEntriesReply,
    );
    const ids = [...page.entries.map(({ id }) => id), ...page.vanishedIds];
    this.#count('pending', page);
    if (ids.length === 0) {
      this.#pendingCursor = undefined;
      return;
    }
    await this.#enqueue(connection, page, excluded);
    // Excluded ids move the cursor too, or a page full of them would be read for ever.
    this.#pendingCursor = ids.reduce((last, id) => (compareEntryIds(id, last) > 0 ? id : last));
  }

  /** Entries that another consumer was given and left; the cursor is kept, for one call looks at few. */
  async #claim(connection: StreamConnection): Promise<void> {
    const { stream, group, consumer, claimIdleMs, claimIntervalMs } = this.#options;
    const readCount = this.#countFor(this.#options.readCount);
    const { metrics, log } = this.#options;
    const args = [stream, group, consumer, claimIdleMs, this.#claimCursor, 'COUNT', readCount];
    const excluded = this.#idsToExclude();
    const claimed = await connection.call('XAUTOCLAIM', args, 5000, parseClaimReply);
    this.#count('claimed', claimed);
    this.#claimCursor = claimed.cursor;
    const taken = await this.#enqueue(connection, claimed, excluded);
    if (taken > 0) {
      metrics.entriesClaimed.inc(taken);
      log.info({ stream, entries: taken }, 'took over entries that another consumer left');
    }
    if (claimed.cursor !== '0-0') return;
    let gone: readonly string[];
    try {
      gone = await deleteIdleConsumers(connection, this.#options, this.#options.consumerGoneMs, 5000);
    } finally {
      // From the end of it, and if it fails too: where Redis is slow there is a read between two claims all the same.
      this.#nextClaimAtMs = Date.now() + claimIntervalMs;
    }
    if (gone.length > 0) log.info({ stream, consumers: gone }, 'removed consumers that were long gone');
  }

  /**
   * New entries. Whatever kept this loop away meanwhile, an outage of Postgres or a stopped process: what was
   * trimmed unread is looked for before a read passes over it.
   */
  async #readNew(connection: StreamConnection, stop: AbortSignal): Promise<void> {
    const { lingerMs } = this.#options;
    const batchSize = this.#countFor(this.#options.batchSize);
    await this.#losses.look(connection);
    let entries = await this.#readAtOnce(connection, batchSize);
    if (entries.length === 0 && !stop.aborted) {
      await this.#losses.settle(connection);
      entries = await this.#blockingRead(connection, stop);
    }
    this.#push({ entries, vanishedIds: [], isQuarantined: false });
    // Only now: if this fails, what was read is in the queue.
    await this.#losses.settle(connection);
    if (entries.length === 0 || entries.length >= batchSize) return;
    // A read returns with the first entry; a row a statement would cost the database dearly.
    if (lingerMs > 0) await delay(lingerMs, stop).catch(() => undefined);
    const rest = await this.#readAtOnce(connection, batchSize - entries.length);
    if (rest.length > 0) {
      this.#queue.pop();
      this.#push({ entries: [...entries, ...rest], vanishedIds: [], isQuarantined: false });
    }
    await this.#losses.settle(connection);
  }

  /** A read that does not block, in one MULTI with the counters that show what was trimmed unread. */
  async #readAtOnce(connection: StreamConnection, count: number): Promise<readonly Entry[]> {
    const { stream } = this.#options;
    const [streamInfo, groups, reply] = await connection.transaction(
      [
        { command: 'XINFO', args: ['STREAM', stream] },
        { command: 'XINFO', args: ['GROUPS', stream] },
        { command: 'XREADGROUP', args: this.#readArgs(count, '>'), read: parseEntriesReply },
      ],
      5000,
    );
    const { entries } = reply;
    const givenIds = entries.map(({ id }) => id);
    this.#losses.note(streamInfo, groups, givenIds);
    this.#count(entries.length > 0 ? 'entries' : 'empty', reply);
    return entries;
  }

  async #blockingRead(connection: StreamConnection, stop: AbortSignal): Promise<readonly Entry[]> {
    const { blockMs, readCount, batchSize } = this.#options;
    const count = this.#countFor(Math.min(readCount, batchSize));
    const answered = new AbortController();
    const unblock = (): void => void this.#unblock(connection, answered.signal);
    stop.addEventListener('abort', unblock, { once: true });
    try {
      const args = this.#readArgs(count, '>', Math.max(1, blockMs));
      const reply = await connection.call('XREADGROUP', args, blockMs + replyGraceMs, parseEntriesReply);
      const { entries } = reply;
      this.#count(entries.length > 0 ? 'entries' : 'empty', reply);
      return entries;
    } finally {
      stop.removeEventListener('abort', unblock);
      answered.abort();
    }
  }

  /** Ends a blocked read; asked again until it has ended, for the first may overtake the read on its way. */
  async #unblock(connection: StreamConnection, answered: AbortSignal): Promise<void> {
    const { commands, log } = this.#options;
    while (!answered.aborted) {
      try {
        await commands.client('UNBLOCK', connection.clientId);
      } catch (error) {
        log.debug({ error }, 'the blocked read could not be ended early');
      }
      await delay(unblockIntervalMs, answered).catch(() => undefined);
    }
  }

  #readArgs(count: number, from: string, blockMs?: number): (string | number)[] {
    const { stream, group, consumer } = this.#options;
    const block = blockMs === undefined ? [] : ['BLOCK', blockMs];
    return ['GROUP', group, consumer, 'COUNT', count, ...block, 'STREAMS', stream, from];
  }

  /**
   * Queues redelivered entries: excluded ones dropped, healthy ones together, often delivered ones apart from them.
   * The count alone condemns nothing: reading pending entries raises it too, so ten restarts during an
   * outage make every entry look like poison.
   */
  async #enqueue(
    connection: StreamConnection,
    reply: EntriesReply,
    excluded: ReadonlySet<string>,
  ): Promise<number> {
    const { stream, group, consumer, maxDeliveries, metrics, log } = this.#options;
    const entries = reply.entries.filter(({ id }) => !excluded.has(id));
    const vanishedIds = reply.vanishedIds.filter((id) => !excluded.has(id));
    if (vanishedIds.length > 0) {
      metrics.entriesVanished.inc(vanishedIds.length);
      const range = { firstId: vanishedIds[0], lastId: vanishedIds.at(-1) };
      log.error(
        { stream, entries: vanishedIds.length, ...range },
        'pending entries were deleted from the stream: perhaps stored, perhaps not',
      );
    }
    const first = entries[0]?.id;
    const last = entries.at(-1)?.id;
    if (first === undefined || last === undefined) {
      this.#push({ entries: [], vanishedIds, isQuarantined: false });
      return 0;
    }
    // The range holds what is pending here besides: the ids that vanished, and those that are excluded.
    const most = reply.entries.length + reply.vanishedIds.length + excluded.size;
    const args = [stream, group, first, last, most, consumer];
    let deliveries: ReadonlyMap<string, number> = new Map();
    try {
      deliveries = parseDeliveries(await connection.call('XPENDING', args, 5000));
    } finally {
      // Without an answer too: what is read is in hand, and may be nowhere else by the next read.
      const counted = entries.map((entry) => entry.deliveredTimes(deliveries.get(entry.id) ?? 1));
      const healthy = counted.filter((entry) => entry.deliveries <= maxDeliveries);
      const suspect = counted.filter((entry) => entry.deliveries > maxDeliveries);
      this.#push({ entries: healthy, vanishedIds, isQuarantined: false });
      for (let from = 0; from < suspect.length; from += suspectsAtOnce) {
        const some = suspect.slice(from, from + suspectsAtOnce);
        this.#push({ entries: some, vanishedIds: [], isQuarantined: true });
      }
    }
    return entries.length;
  }

  /**
   * Ids that a read or a claim may bring and that are not to be handed on. Asked for before the command is sent: an
   * ack that is answered meanwhile, on the other connection, would let its entry through.
   */
  #idsToExclude(): ReadonlySet<string> {
    const excluded = new Set(this.#options.excludedIds());
    for (const { entries, vanishedIds } of this.#queue) {
      for (const { id } of entries) excluded.add(id);
      for (const id of vanishedIds) excluded.add(id);
    }
    return excluded;
  }

  #push(batch: EntryBatch): void {
    if (batch.entries.length > 0 || batch.vanishedIds.length > 0) this.#queue.push(batch);
  }

  async #connect(): Promise<StreamConnection> {
    const { redisUrl, stream, group, consumer, log } = this.#options;
    const name = `${group}:${consumer}:${stream}:reader`;
    const connection = await StreamConnection.open(redisUrl, name, 5000);
    try {
      // Before anything is read: the old connection may still be blocked in Redis, and would take entries.
      if (this.#staleClientId !== undefined) {
        await killConnectionsByName(connection, name, 5000, this.#staleClientId);
      }
      if (!this.#hasEverConnected) {
        const length = await streamLength(connection, stream, 5000);
        // Only at the start: two processes with one name would otherwise kill each other for ever.
        const killed = await killConnectionsByName(connection, name, 5000);
        log.info(
          { stream, exists: length !== undefined, length: length ?? 0, group, consumer, killed },
          'reading stream',
        );
      } else {
        log.info({ stream, failures: this.#failures }, 'reader connected again');
      }
      await ensureGroup(connection, this.#options, 5000);
    } catch (error) {
      connection.close();
      throw error;
    }
    this.#hasEverConnected = true;
    this.#staleClientId = undefined;
    this.#pendingCursor = '0';
    this.#connection = connection;
    return connection;
  }

  async #recover(problem: unknown, stop: AbortSignal): Promise<void> {
    const { stream, metrics, log } = this.#options;
    this.#failures += 1;
    if (this.#connection !== undefined && isGroupMissing(problem)) {
      metrics.reads.inc({ result: 'group_missing' });
      log.error({ stream }, 'the stream or its group is gone; creating the group again, at 0');
      this.#dropConnection();
      await delay(groupLostPauseMs, stop).catch(() => undefined);
      return;
    }
    metrics.reads.inc({ result: problem instanceof DeadlineError ? 'deadline' : 'error' });
    if (this.#failures === 1)
      log.warn({ stream, error: problem }, 'the reader lost Redis; trying again until it answers');
    this.#dropConnection();
    const pauseMs = fullJitterMs(this.#failures, { maxDelayMs: longestPauseMs });
    await delay(pauseMs, stop).catch(() => undefined);
  }

  #dropConnection(): void {
    if (this.#connection === undefined) return;
    this.#staleClientId = this.#connection.clientId;
    this.close();
  }

  #count(result: string, { entries, bytes }: EntriesReply): void {
    const { reads, records } = this.#options.metrics;
    reads.inc({ result });
    if (entries.length === 0) return;
    records.inc(entries.length);
    // Up at once and down by halves: a few large ones among small ones are remembered for a while.
    this.#entryBytes = Math.max(bytes / entries.length, this.#entryBytes / 2);
  }

  /** So many entries, or fewer where they are large. */
  #countFor(count: number): number {
    return Math.max(1, Math.min(count, Math.floor(this.#options.batchBytes / this.#entryBytes)));
  }
}
