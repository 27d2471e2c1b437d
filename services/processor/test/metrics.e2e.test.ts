import { encodeFields } from '@app/shared/entry';
import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { eventually } from '@app/test-kit/eventually';
import { MetricsSeen, whatIsMissing } from '@app/test-kit/metrics-seen';
import { readMetric } from '@app/test-kit/read-metric';
import { shiftDate, shiftPostgresClock } from '@app/test-kit/shift-clocks';
import { expect, test } from 'vitest';
import {
  lockPositions,
  openFaultyFixture,
  pending,
  stored,
  type FaultyFixture,
} from './support/open-faulty-fixture.ts';
import type { RunningProcessor } from './support/start-processor.ts';
import { refuseRows } from './support/refuse-rows.ts';
import { storedStream } from '../src/domain/stored-fixes.ts';
import { drive, fixAt, insertSmallRace, type SmallRace } from './support/small-race.ts';
import { record, records, send, sendFields } from './support/telemetry.ts';

/** Leaves five entries pending at another consumer for an hour; one of them is deleted from the stream. */
async function leaveEntries({ redis, stream }: FaultyFixture): Promise<void> {
  const left = await send(redis, stream, records(5));
  const ids = left.map(({ id }) => id);
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await redis.xreadgroup('GROUP', 'processor', 'gone', 'STREAMS', stream, '>');
  await redis.call('XCLAIM', stream, 'processor', 'gone', 0, ...ids, 'IDLE', 3_600_000, 'JUSTID');
  await redis.xdel(stream, ids[1] ?? '');
}

/** Sends valid, duplicate, conflicting, flagged and undecodable entries. */
async function sendAllKinds({ redis, sql, stream }: FaultyFixture): Promise<void> {
  const nowMs = Date.now();
  await refuseRows(sql, 'refused', '23514');
  const first = record({ deviceId: 'twice', fixAtMs: nowMs });
  await send(redis, stream, [
    ...records(100, { from: 10, devices: 10 }),
    first,
    first,
    record({ ...first.position, speedKmh: 1 }),
    record({ deviceId: 'refused' }),
    record({ deviceId: 'blind', satellites: 0 }),
    record({ deviceId: 'rebooted', latitude: 0, longitude: 0 }),
    record({ deviceId: 'ahead', fixAtMs: nowMs + 3_600_000 }),
    record({ deviceId: 'unset', fixAtMs: Date.UTC(2001, 0, 1) }),
    record({ deviceId: 'far', fixAtMs: nowMs + 7 * 86_400_000 }),
  ]);
  await sendFields(redis, stream, [['payload', 'garbage', 'codec', '8E'], encodeFields(first).slice(0, 4)]);
}

/** Runs a race with an SOS and a problem, and another that nobody may evaluate; then Redis refuses its fixes for a while, and they cannot be read. */
async function evaluateRace(
  { redis, sql, stream }: FaultyFixture,
  race: SmallRace,
  processor: RunningProcessor,
  scrape: () => Promise<void>,
): Promise<void> {
  await sql`update stages set line = null where id = ${race.stageId}`;
  const [first = '', second = ''] = race.imeis;
  const value = async (name: string, labels?: Record<string, string>): Promise<number> =>
    (await processor.metrics(name, labels)) ?? 0;
  await processor.logged(/^evaluating the event$/u);
  await send(redis, stream, [
    ...drive(first),
    ...drive(second, { north: 25 }),
    fixAt(first, 300, 0, 500, { priority: 2 }),
  ]);
  await eventually(async () => (await value('processor_open_sos')) === 1, patience);
  await eventually(async () => (await value('processor_race_problems')) > 0, patience);
  await sql`insert into events (id, name, start_at, race_status) values (gen_random_uuid(), 'Left out', now(), 'running')`;
  await eventually(async () => (await value('processor_events_without_evaluator')) === 1, patience);
  await scrape();
  const key = storedStream(race.eventId);
  await redis.del(key);
  await redis.set(key, 'no stream');
  await send(redis, stream, [fixAt(first, 200, 0, 500)]);
  await eventually(
    async () => (await value('processor_stored_fixes_total', { result: 'refused' })) > 0,
    patience,
  );
  await eventually(
    async () => (await value('processor_evaluations_total', { result: 'failed' })) > 0,
    patience,
  );
  await eventually(async () => (await value('processor_dirty_devices')) > 0, patience);
  await scrape();
  await redis.del(key);
  await eventually(async () => (await value('processor_dirty_devices')) === 0, patience);
}

async function groupsOf({ redis, stream }: FaultyFixture): Promise<readonly (readonly string[])[]> {
  const groups = await redis.xinfo('GROUPS', stream).catch(() => []);
  return Array.isArray(groups) ? groups.map((group) => (Array.isArray(group) ? group.map(String) : [])) : [];
}

// Generous, because other tests may use all cores.
const patience = { timeoutMs: 30_000 };

test(
  'every documented metric has a plausible value after the service has processed all kinds of entries',
  { timeout: 120_000 },
  async () => {
    await using fixture = await openFaultyFixture();
    const { redis, stream } = fixture;
    const seen = new MetricsSeen('processor_');
    await leaveEntries(fixture);
    const race = await insertSmallRace(fixture.sql);
    const processor = await fixture.start({
      env: {
        EVALUATE_EVENTS: race.eventId,
        BATCH_SIZE: '50',
        WRITE_BATCH_SIZE: '50',
        DEVICE_STATE_CAP: '5',
        WRITE_TIMEOUT_MS: '500',
      },
    });
    const scrape = async (): Promise<void> => seen.add(await processor.exposition());
    const reads = async (result: string): Promise<number> =>
      (await processor.metrics('processor_consumer_reads_total', { result })) ?? 0;
    await eventually(
      async () => (await processor.metrics('processor_entries_claimed_total')) === 4,
      patience,
    );
    await sendAllKinds(fixture);
    await eventually(async () => (await stored(fixture)) === 4 + 100 + 1 + 4, patience);
    await scrape();
    await evaluateRace(fixture, race, processor, scrape);

    // A backlog while inserts are blocked; part of it is trimmed before it is read.
    const lock = await lockPositions(fixture);
    await send(redis, stream, records(1500, { from: 200 }));
    await eventually(async () => {
      await scrape();
      expect(readMetric(seen.text, 'processor_consumer_lag')).toBeGreaterThan(500);
      expect(readMetric(seen.text, 'processor_consumer_pending')).toBeGreaterThan(0);
      expect(readMetric(seen.text, 'processor_write_retries_total')).toBeGreaterThan(0);
      return true;
    }, patience);
    await redis.xtrim(stream, 'MAXLEN', 100);
    await lock.release();
    await eventually(
      async () => ((await processor.metrics('processor_entries_lost_total')) ?? 0) > 0,
      patience,
    );
    await eventually(async () => (await pending(fixture)) === 0, patience);
    await scrape();

    expect(readMetric(seen.text, 'processor_entries_lost_total')).toBeGreaterThan(500);
    expect(readMetric(seen.text, 'processor_entries_lost_total')).toBeLessThan(1500);

    // A killed connection, a destroyed group, an unresponsive Redis.
    await eventually(async () => {
      const readers = String(await redis.client('LIST')).split('\n');
      const reader = /^id=(\d+) .* name=\S+:reader /u.exec(
        readers.find((line) => line.includes(':reader ')) ?? '',
      );
      if (reader !== null) await redis.client('KILL', 'ID', reader[1] ?? '');
      return (await reads('error')) >= 1;
    }, patience);
    // Repeated: the first may hit the read of pending entries after the reconnect, which then counts as this.
    await eventually(
      async () => {
        await redis.xgroup('DESTROY', stream, 'processor');
        return (await reads('group_missing')) >= 1 && (await reads('pending')) >= 3;
      },
      { ...patience, intervalMs: 500 },
    );
    // A group that is set ahead of its stream, and back.
    let lastDelivered = '';
    await eventually(async () => {
      const [group = []] = await groupsOf(fixture);
      lastDelivered = group[group.indexOf('last-delivered-id') + 1] ?? '';
      return group.length > 0;
    }, patience);
    await redis.xgroup('SETID', stream, 'processor', '99999999999999-0');
    await eventually(async () => {
      await scrape();
      return readMetric(seen.text, 'processor_group_ahead_of_stream') === 1;
    }, patience);
    await redis.xgroup('SETID', stream, 'processor', lastDelivered);
    // Redis counts again once the group has read the newest entry.
    const storedBefore = await stored(fixture);
    await send(redis, stream, records(1, { from: 1900 }));
    await eventually(async () => (await stored(fixture)) === storedBefore + 1, patience);

    // A stream that is deleted with entries that nobody has read.
    const secondLock = await lockPositions(fixture);
    await send(redis, stream, records(1500, { from: 2000 }));
    await eventually(async () => ((await processor.metrics('processor_consumer_lag')) ?? 0) > 500, patience);
    await redis.del(stream);
    await secondLock.release();
    await eventually(
      async () => ((await processor.metrics('processor_entries_lost_at_most_total')) ?? 0) > 500,
      patience,
    );
    fixture.ownRedis.pause();
    await eventually(async () => (await reads('deadline')) >= 1, patience);
    fixture.ownRedis.resume();
    await scrape();

    // A full dead-letter stream, and one that is trimmed; each clock an hour ahead of the two others.
    const hourMs = 3_600_000;
    const broken = `${stream}:broken`;
    let waiting: RunningProcessor | undefined;
    for (const [whenFull, metric, clock, shiftMs, postgresShiftMs] of [
      ['wait', 'processor_dead_letters_waiting', 'processor', hourMs, 0],
      ['trim', 'processor_dead_letters_trimmed_total', 'redis', -hourMs, -hourMs],
      ['trim', 'processor_dead_letters_trimmed_total', 'postgres', 0, hourMs],
    ] as const) {
      const other = `${stream}:${clock}`;
      const env = {
        INSTANCE_ID: clock,
        DLQ_MAX_LENGTH: '1',
        DLQ_WHEN_FULL: whenFull,
        SHIFT_DATE_MS: String(shiftMs),
      };
      await shiftPostgresClock(fixture.sql, postgresShiftMs);
      const full = await fixture.start({
        stream: whenFull === 'wait' ? `${other},${broken}` : other,
        env,
        preload: shiftDate,
      });
      waiting ??= full;
      await sendFields(redis, other, [
        ['payload', 'garbage', 'codec', '8E'],
        ['payload', 'garbage', 'codec', '8E'],
      ]);
      for (const name of [metric, 'processor_dead_letter_fill_ratio'])
        await eventually(async () => (await full.metrics(name)) === 1, patience);
      await eventually(
        async () => ((await full.metrics('processor_clock_skew_seconds', { clock })) ?? 0) > hourMs / 2000,
        patience,
      );
      seen.add(await full.exposition());
      const ready = whenFull === 'trim' ? 'ok' : `dead letters wait: ${other}:dlq has DLQ_MAX_LENGTH entries`;
      await eventually(async () => (await full.readyz()).body === `${ready}\n`, patience);
    }

    // A stream in which nothing can be decoded, with ids ahead of Redis' clock.
    await redis.xadd(broken, `${Date.now() + hourMs}-0`, 'payload', 'garbage', 'codec', '8E');
    await sendFields(
      redis,
      broken,
      Array.from({ length: 600 }, () => ['payload', 'garbage', 'codec', '8E']),
    );
    await eventually(async () => (await waiting?.metrics('processor_stream_stopped')) === 1, patience);
    await eventually(
      async () => ((await waiting?.metrics('processor_clock_skew_seconds', { clock: 'stream' })) ?? 0) > 0,
      patience,
    );
    seen.add((await waiting?.exposition()) ?? '');

    const largest = (name: string, labels?: Record<string, string>): number | undefined =>
      readMetric(seen.text, name, labels);
    const documented = await documentedMetrics('Processor', 'processor_');
    expect(documented.flatMap((metric) => whatIsMissing(metric, seen.text))).toEqual([]);

    // Metrics whose exact value is known.
    expect(largest('processor_position_writes_total', { status: 'conflicting' })).toBe(1);
    expect(largest('processor_position_writes_total', { status: 'rejected' })).toBe(1);
    expect(largest('processor_consumer_decode_errors_total', { reason: 'missing_field' })).toBe(1);
    expect(largest('processor_consumer_decode_errors_total', { reason: 'future_limit' })).toBe(1);
    expect(largest('processor_dead_letters_total', { reason: 'row_refused' })).toBe(1);
    expect(largest('processor_dead_letters_total', { reason: 'same_time' })).toBe(1);
    expect(largest('processor_entries_vanished_total')).toBe(1);
    expect(largest('processor_device_state_size')).toBe(5);
    expect(largest('processor_past_limit_fixes_total')).toBe(1);
    for (const flag of ['no_fix', 'null_island', 'future', 'ancient']) {
      expect(largest('processor_fix_quality_total', { flag })).toBe(1);
    }
  },
);
