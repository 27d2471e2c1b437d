import type { Logger } from '@app/runtime/log';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { delay, fullJitterMs } from '@app/runtime/retry';
import type { Redis } from 'ioredis';
import { isNotPermitted } from '../feed/stream-info.ts';
import { createOutageReport } from '../report-outage.ts';
import { EventResults } from './event-results.ts';
import { readAnnouncements, readNewestAnnouncements, type AnnouncementEntry } from './read-announcements.ts';
import { readResults, readRevisions } from './read-results.ts';
import type { WatchedEvent, WatchedEvents } from './watched-events.ts';

/** Why the tables were read; label `reason` of `live_results_reads_total`. */
export type ReadReason =
  /** The first client. */
  | 'first'
  /** An announcement without changes, or after others that were missed. */
  | 'gap'
  /** A revision that was not announced. */
  | 'unannounced'
  /** A client holds a later revision. */
  | 'cursor'
  /** The read before failed. */
  | 'retry';

export interface ResultsMeter {
  readonly onRead: (reason: ReadReason, hasFailed: boolean) => void;
  /** A revision was applied, from the stream or from the tables. */
  readonly onRevision: (source: 'stream' | 'tables') => void;
}

/** How often the revisions in Postgres are compared, and failed reads repeated. */
const pollIntervalMs = 2000;
/** For an event that was not watched when the read began; short, since a blocked XREAD cannot take another stream. */
const blockMs = 250;
const maxBackoffMs = 2000;

/**
 * Keeps the results of the watched events equal to the tables: reads them once, applies announced revisions as they come,
 * and reads them again where announcements leave a gap. Failures are logged once per outage and concern results only.
 */
export class ResultsReader {
  readonly #events: WatchedEvents;
  readonly #redis: Redis;
  readonly #connect: () => Redis;
  readonly #postgres: PostgresClient;
  readonly #meter: ResultsMeter;
  readonly #nowMs: () => number;
  readonly #reportPostgres: (error?: unknown) => void;
  readonly #reportRedis: (error?: unknown) => void;

  constructor(options: {
    readonly events: WatchedEvents;
    readonly redis: Redis;
    /** Opens a connection for XREAD. */
    readonly connect: () => Redis;
    /** Its own: a slow read must not delay the one of positions. */
    readonly postgres: PostgresClient;
    readonly meter: ResultsMeter;
    readonly log: Logger;
    /** The run clock. */
    readonly nowMs: () => number;
  }) {
    this.#events = options.events;
    this.#redis = options.redis;
    this.#connect = options.connect;
    this.#postgres = options.postgres;
    this.#meter = options.meter;
    this.#nowMs = options.nowMs;
    this.#reportPostgres = createOutageReport(options.log, 'reading results from Postgres');
    this.#reportRedis = reportRedisOutage(options.log);
  }

  /**
   * The event with its results; undefined if they cannot be read now.
   *
   * @param cursor of a client that resumes: if it is of a later revision, the tables are read first
   */
  async open(eventId: string, cursor: string | undefined): Promise<WatchedEvent | undefined> {
    const event = this.#events.watch(eventId);
    const { results, reading, readAtMs } = event;
    const isNeeded = results === undefined || (cursor !== undefined && results.isBehind(cursor));
    // Clients cannot cause more reads than one in this time.
    const isPossible = reading !== undefined || this.#nowMs() - readAtMs > pollIntervalMs;
    if (isNeeded && isPossible) await this.#read(event, results === undefined ? 'first' : 'cursor');
    return event.results === undefined ? undefined : event;
  }

  /** Follows the announcements until the signal; rejects with its reason. */
  async followAnnouncements(signal: AbortSignal): Promise<never> {
    let redis: Redis | undefined;
    let failures = 0;
    try {
      for (;;) {
        signal.throwIfAborted();
        const lastIds = new Map(
          this.#events
            .all()
            .flatMap(({ eventId, lastId, reading }) =>
              lastId === undefined || reading !== undefined ? [] : [[eventId, lastId] as const],
            ),
        );
        if (lastIds.size === 0) {
          await delay(blockMs, signal);
          continue;
        }
        redis ??= this.#connect();
        try {
          this.#applyAll(lastIds, await readAnnouncements(redis, lastIds, blockMs));
          failures = 0;
          this.#reportRedis();
        } catch (error) {
          this.#reportRedis(error);
          failures += 1;
          redis.disconnect();
          redis = undefined;
          await delay(fullJitterMs(failures, { maxDelayMs: maxBackoffMs }), signal);
        }
      }
    } finally {
      redis?.disconnect();
    }
  }

  /** Looks for revisions that were not announced until the signal; rejects with its reason. */
  async pollRevisions(signal: AbortSignal): Promise<never> {
    for (;;) {
      await delay(pollIntervalMs, signal);
      this.#events.dropIdle();
      const events = this.#events.all().filter(({ reading }) => reading === undefined);
      if (events.length === 0) continue;
      const held = new Map(events.map(({ eventId, results }) => [eventId, results?.revision]));
      try {
        const revisionOf = await this.#postgres.run(
          (sql) => readRevisions(sql, [...held.keys()]),
          'reading revisions',
        );
        for (const event of events) {
          const { eventId, results, isStale } = event;
          if (results === undefined || isStale) await this.#read(event, 'retry');
          // Otherwise an announcement came meanwhile.
          else if (results.revision === held.get(eventId)) {
            if (!results.isAt(revisionOf(eventId))) await this.#read(event, 'unannounced');
            else if (event.lastId === undefined) await this.#locate(event);
          }
        }
      } catch (error) {
        signal.throwIfAborted();
        this.#reportPostgres(error);
      }
    }
  }

  #applyAll(
    lastIds: ReadonlyMap<string, string>,
    entriesByEvent: ReadonlyMap<string, readonly AnnouncementEntry[]>,
  ): void {
    for (const event of this.#events.all()) {
      const entries = entriesByEvent.get(event.eventId);
      // A read that has begun meanwhile finds them as well.
      if (entries === undefined || event.reading !== undefined) continue;
      if (event.lastId !== lastIds.get(event.eventId)) continue;
      if (!this.#apply(event, entries)) void this.#read(event, 'gap');
    }
  }

  /** @returns false if the tables must be read: what is announced does not follow what is held */
  #apply(event: WatchedEvent, entries: readonly AnnouncementEntry[]): boolean {
    const { results } = event;
    const lastId = entries.at(-1)?.id;
    if (results === undefined || lastId === undefined) return true;
    const before = results.state;
    const hasFollowed = results.follow(entries);
    event.lastId = lastId;
    for (let state = before; state < results.state; state += 1) this.#meter.onRevision('stream');
    if (results.state !== before) this.#events.markChanged();
    return hasFollowed;
  }

  /** Reads the tables, at most once at a time. Never rejects: what failed is read again by `pollRevisions`. */
  async #read(event: WatchedEvent, reason: ReadReason): Promise<void> {
    event.isStale = true;
    event.reading ??= this.#readTables(event, reason).finally(() => {
      event.reading = undefined;
      event.readAtMs = this.#nowMs();
    });
    await event.reading;
  }

  async #readTables(event: WatchedEvent, reason: ReadReason): Promise<void> {
    const { eventId } = event;
    try {
      const snapshot = await this.#postgres.run((sql) => readResults(sql, eventId), 'reading results');
      // After the tables: what is announced later than they were read follows them.
      const newest = await this.#readNewest(eventId);
      if (event.results === undefined) {
        event.results = new EventResults(eventId, snapshot, newest?.entries ?? []);
      } else {
        event.results.replace(snapshot);
        this.#meter.onRevision('tables');
      }
      event.lastId = newest?.lastId;
      event.isStale = !this.#apply(event, newerThan(event.results, newest?.entries ?? []));
      this.#events.markChanged();
      this.#meter.onRead(reason, false);
      this.#reportPostgres();
    } catch (error) {
      this.#meter.onRead(reason, true);
      this.#reportPostgres(error);
    }
  }

  async #locate(event: WatchedEvent): Promise<void> {
    const newest = await this.#readNewest(event.eventId);
    if (newest === undefined || event.reading !== undefined) return;
    event.lastId = newest.lastId;
    if (!this.#apply(event, newerThan(event.results, newest.entries))) await this.#read(event, 'gap');
  }

  async #readNewest(
    eventId: string,
  ): Promise<Awaited<ReturnType<typeof readNewestAnnouncements>> | undefined> {
    try {
      const newest = await readNewestAnnouncements(this.#redis, eventId);
      this.#reportRedis();
      return newest;
    } catch (error) {
      this.#reportRedis(error);
      return undefined;
    }
  }
}

function newerThan(
  results: EventResults | undefined,
  entries: readonly AnnouncementEntry[],
): readonly AnnouncementEntry[] {
  return entries.filter(({ revision }) => revision.revision > (results?.revision.revision ?? 0));
}

/** Results arrive without Redis too, by `pollRevisions`. */
function reportRedisOutage(log: Logger): (error?: unknown) => void {
  const report = createOutageReport(log, 'reading announced results from Redis');
  let isRefused = false;
  return (error) => {
    if (!isNotPermitted(error)) return report(error);
    if (!isRefused) {
      log.warn(
        { error, delayMs: pollIntervalMs },
        'the Redis user may not read results:*, so results arrive late; write the users anew with deploy/redis/users.sh',
      );
    }
    isRefused = true;
  };
}
