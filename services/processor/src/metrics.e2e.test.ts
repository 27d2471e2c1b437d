import { encodeFields } from '@app/shared/entry';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { type DocumentedMetric, documentedMetrics } from './testing/documented-metrics.ts';
import { lockPositions, ownWorld, pending, stored, type OwnWorld } from './testing/own-world.ts';
import { readMetric } from './testing/read-metric.ts';
import { refuseRows } from './testing/refuse-rows.ts';
import type { RunningProcessor } from './testing/start-processor.ts';
import { record, records, send, sendFields } from './testing/telemetry.ts';

/** The largest value of each series that was ever seen, by the line's text before the value. */
class Seen {
  readonly #largest = new Map<string, number>();

  async look(processor: RunningProcessor): Promise<void> {
    for (const line of (await processor.exposition()).split('\n')) {
      const [, series, value] = /^(processor_[^#]*) (\S+)$/u.exec(line) ?? [];
      if (series === undefined || value === 'Nan') continue;
      this.#largest.set(series, Math.max(Number(value), this.#largest.get(series) ?? 0));
    }
  }

  /** As an exposition. */
  get text(): string {
    return [...this.#largest].map(([series, value]) => `${series} ${value}`).join('\n');
  }
}

/** Entries that another consumer was given an hour ago and left; one of them is no longer in the stream. */
async function leaveEntries({ redis, stream }: OwnWorld): Promise<void> {
  const left = await send(redis, stream, records(5));
  const ids = left.map(({ id }) => id);
  await redis.xgroup('CREATE', stream, 'processor', '0');
  await redis.xreadgroup('GROUP', 'processor', 'gone', 'STREAMS', stream, '>');
  await redis.call('XCLAIM', stream, 'processor', 'gone', 0, ...ids, 'IDLE', 3_600_000, 'JUSTID');
  await redis.xdel(stream, ids[1] ?? '');
}

/** What trackers really send, and what they should not. */
async function sendAllKinds({ redis, sql, stream }: OwnWorld): Promise<void> {
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

test(
  'every documented metric has a plausible value once the service was driven',
  { timeout: 90_000 },
  async () => {
    await using world = await ownWorld();
    const { redis, stream } = world;
    const seen = new Seen();
    await leaveEntries(world);
    const processor = await world.start({
      env: { BATCH_SIZE: '50', WRITE_BATCH_SIZE: '50', DEVICE_STATE_CAP: '5', WRITE_TIMEOUT_MS: '500' },
    });
    const reads = async (result: string): Promise<number> =>
      (await processor.metrics('processor_consumer_reads_total', { result })) ?? 0;
    await eventually(async () => (await processor.metrics('processor_entries_claimed_total')) === 4, {
      timeoutMs: 15_000,
    });
    await sendAllKinds(world);
    await eventually(async () => (await stored(world)) === 4 + 100 + 1 + 4);
    await seen.look(processor);

    // A backlog: Postgres does not take it, and the stream is trimmed too short.
    const lock = await lockPositions(world);
    await send(redis, stream, records(1500, { from: 200 }));
    await eventually(
      async () => {
        await seen.look(processor);
        expect(readMetric(seen.text, 'processor_consumer_lag')).toBeGreaterThan(500);
        expect(readMetric(seen.text, 'processor_consumer_pending')).toBeGreaterThan(0);
        expect(readMetric(seen.text, 'processor_write_retries_total')).toBeGreaterThan(0);
        return true;
      },
      { timeoutMs: 15_000 },
    );
    await redis.xtrim(stream, 'MAXLEN', 100);
    await lock.release();
    await eventually(async () => ((await processor.metrics('processor_entries_lost_total')) ?? 0) > 0);
    await eventually(async () => (await pending(world)) === 0, { timeoutMs: 30_000 });
    await seen.look(processor);

    expect(readMetric(seen.text, 'processor_entries_lost_total')).toBeGreaterThan(500);
    expect(readMetric(seen.text, 'processor_entries_lost_total')).toBeLessThan(1500);

    // A reader that is cut off, a group that is gone, a Redis that is silent.
    await eventually(async () => {
      const readers = String(await redis.client('LIST')).split('\n');
      const reader = /^id=(\d+) .* name=\S+:reader /u.exec(
        readers.find((line) => line.includes(':reader ')) ?? '',
      );
      if (reader !== null) await redis.client('KILL', 'ID', reader[1] ?? '');
      return (await reads('error')) >= 1;
    });
    await eventually(async () => {
      await redis.xgroup('DESTROY', stream, 'processor');
      return (await reads('group_missing')) >= 1;
    });
    await eventually(async () => (await reads('pending')) >= 3);
    world.ownRedis.pause();
    await eventually(async () => (await reads('deadline')) >= 1, { timeoutMs: 15_000 });
    world.ownRedis.resume();
    await seen.look(processor);

    const largest = (name: string, labels?: Record<string, string>): number | undefined =>
      readMetric(seen.text, name, labels);
    const documented = await documentedMetrics();
    expect(documented.flatMap((metric) => whatIsMissing(metric, seen.text))).toEqual([]);

    // The exact ones.
    expect(largest('processor_position_writes_total', { status: 'conflicting' })).toBe(1);
    expect(largest('processor_position_writes_total', { status: 'rejected' })).toBe(1);
    expect(largest('processor_consumer_decode_errors_total', { reason: 'not_json' })).toBe(1);
    expect(largest('processor_consumer_decode_errors_total', { reason: 'future_limit' })).toBe(1);
    expect(largest('processor_dead_letters_total', { reason: 'row_refused' })).toBe(1);
    expect(largest('processor_dead_letters_total', { reason: 'same_time' })).toBe(1);
    expect(largest('processor_entries_vanished_total')).toBe(1);
    expect(largest('processor_device_state_size')).toBe(5);
    for (const flag of ['no_fix', 'null_island', 'future', 'ancient']) {
      expect(largest('processor_fix_quality_total', { flag })).toBe(1);
    }
  },
);

/** Says of a documented metric which of it was never seen moved, and what was seen that is not documented. */
function whatIsMissing({ name, type, labels }: DocumentedMetric, exposition: string): readonly string[] {
  const parts = type === 'histogram' ? [`${name}_count`, `${name}_sum`] : [name];
  const [first = name] = parts;
  const isMoved = (part: string, wanted?: Record<string, string>): boolean =>
    (readMetric(exposition, part, wanted) ?? 0) > 0;
  const problems = parts.filter((part) => !isMoved(part)).map((part) => `${part} was never moved`);
  const born = labelsOf(exposition, first);
  for (const label of new Set([...labels.keys(), ...born.keys()])) {
    const values = born.get(label) ?? new Set();
    if (!labels.has(label) || values.size === 0) problems.push(`${name}: ${label} is only in one of the two`);
    const listed = labels.get(label);
    for (const value of listed ?? []) {
      if (!isMoved(first, { [label]: value })) problems.push(`${name}: ${value} was never moved`);
    }
    for (const value of listed === undefined ? [] : values) {
      if (!listed?.includes(value)) problems.push(`${name}: ${value} is not documented`);
    }
  }
  return problems;
}

/** The labels of a metric's series, each with its values. */
function labelsOf(exposition: string, name: string): ReadonlyMap<string, ReadonlySet<string>> {
  const born = new Map<string, Set<string>>();
  for (const line of exposition.split('\n')) {
    const [, series, labels = ''] = /^([a-z_]+)(?:\{(.*)\})? \S+$/u.exec(line) ?? [];
    if (series !== name) continue;
    for (const [, label = '', value = ''] of labels.matchAll(/([a-z]+)="([^"]*)"/gu)) {
      born.set(label, (born.get(label) ?? new Set()).add(value));
    }
  }
  return born;
}
