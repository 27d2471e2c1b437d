import type { Logger } from '@app/runtime/log';
import { densify } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import { delay } from '@app/runtime/retry';
import type { Sql } from 'postgres';
import { type DirtyDevice, markDirty } from './dirty-devices.ts';
import type { RunningEvent } from './list-running-events.ts';

/** How long a device may be assigned before its fixes are announced. */
const refreshIntervalMs = 2000;

/**
 * Which devices are in which running events, as this process knows it. The last good copy survives a failing database.
 *
 * Fixes that were stored before the copy knew of an assignment have not been announced: a device that is new in a copy is
 * marked dirty once the copy is used, not before. So whatever is not announced is in `positions` when the evaluator reads
 * the mark.
 */
export class RunningDevices implements AsyncDisposable {
  readonly #postgres: PostgresClient;
  readonly #listEvents: (sql: Sql) => Promise<readonly RunningEvent[]>;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #eventIds: ReadonlyMap<string, readonly string[]> = new Map();
  /** New in a copy, and not yet marked. */
  #unmarked: readonly DirtyDevice[] = [];
  #ended: Promise<void> | undefined;
  #isFirst = true;
  #isFailing = false;

  constructor(
    postgres: PostgresClient,
    listEvents: (sql: Sql) => Promise<readonly RunningEvent[]>,
    log: Logger,
  ) {
    this.#postgres = postgres;
    this.#listEvents = listEvents;
    this.#log = log;
  }

  eventIdsOf(deviceId: string): readonly string[] {
    return this.#eventIds.get(deviceId) ?? [];
  }

  /** To be awaited before anything is stored: at the first refresh no device is marked. */
  async start(): Promise<void> {
    await this.refresh();
    this.#ended = this.#refreshUntilStopped();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  async #refreshUntilStopped(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Rejects only on stop, which the loop condition checks.
      await delay(refreshIntervalMs, signal).catch(() => undefined);
      if (!signal.aborted) await this.refresh();
    }
  }

  /** Never rejects. */
  async refresh(): Promise<void> {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    try {
      const events = await this.#postgres.run((sql) => this.#listEvents(sql), 'reading running events');
      const devices =
        events.length === 0
          ? []
          : await this.#postgres.run(
              (sql) => selectDevices(sql, events),
              'reading devices of running events',
            );
      const added = devices.filter(({ eventId, deviceId }) => !this.eventIdsOf(deviceId).includes(eventId));
      if (!isFirst) this.#unmarked = [...this.#unmarked, ...added];
      const byDevice = Map.groupBy(devices, ({ deviceId }) => deviceId);
      this.#eventIds = new Map(
        [...byDevice].map(([deviceId, ofDevice]) => [deviceId, ofDevice.map(({ eventId }) => eventId)]),
      );
      if (this.#unmarked.length > 0) {
        await this.#postgres.run((sql) => markDirty(sql, this.#unmarked), 'marking new devices dirty');
        this.#unmarked = [];
      }
      if (this.#isFailing) this.#log.info('devices of running events are read again');
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) {
        this.#log.warn(
          { error },
          'reading devices of running events failed; the last copy is used; retrying',
        );
      }
      this.#isFailing = true;
    }
  }
}

async function selectDevices(sql: Sql, events: readonly RunningEvent[]): Promise<readonly DirtyDevice[]> {
  return densify(
    await sql.unsafe<DirtyDevice[]>(
      `select distinct entries.event_id::text as "eventId", devices.imei as "deviceId"
         from entries
         join entry_devices on entry_devices.entry_id = entries.id
         join devices on devices.id = entry_devices.device_id
        where entries.event_id = any ($1::text::uuid[]) and devices.imei is not null`,
      [`{${events.map(({ id }) => id).join(',')}}`],
    ),
  );
}
