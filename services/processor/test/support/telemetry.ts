import { encodeFields, type TelemetryRecord } from '@app/shared/entry';
import type { Position } from '@app/shared/position';
import type { Redis } from 'ioredis';

/** An entry as it was put on a stream. */
export interface SentEntry {
  readonly id: string;
  readonly fields: readonly Buffer[];
  /** Undefined if it is no record. */
  readonly position?: Position;
}

// In the past, so that no fix is too old or ahead of its arrival.
const firstFixAtMs = Date.UTC(2026, 5, 1, 8);

/** A valid record with the given values. */
export function record(position: Partial<Position> = {}): TelemetryRecord {
  return {
    codec: '8E',
    position: {
      deviceId: '350000000000001',
      fixAtMs: firstFixAtMs,
      latitude: 46.5,
      longitude: 7.25,
      altitudeM: 800,
      courseDeg: 90,
      speedKmh: 42.5,
      satellites: 9,
      priority: 0,
      attributes: { '16': 123456, '239': 1 },
      ...position,
    },
  };
}

/** Valid records, no two with the same device and time: `devices` in turn, a second apart. */
export function records(
  count: number,
  options: { readonly devices?: number; readonly from?: number } = {},
): readonly TelemetryRecord[] {
  const { devices = 10, from = 0 } = options;
  return Array.from({ length: count }, (_, index) => {
    const n = from + index;
    return record({
      deviceId: `35000000000${String(1000 + (n % devices))}`,
      fixAtMs: firstFixAtMs + Math.floor(n / devices) * 1000,
      latitude: 46 + (n % 1000) / 1000,
    });
  });
}

/** Adds records to the stream; returns them with their ids. */
export async function send(
  redis: Redis,
  stream: string,
  sending: readonly TelemetryRecord[],
): Promise<readonly SentEntry[]> {
  const entries = sending.map((each) => ({ fields: encodeFields(each), position: each.position }));
  return await sendEntries(redis, stream, entries);
}

/** Adds entries with any fields, names and values in turn. */
export async function sendFields(
  redis: Redis,
  stream: string,
  sending: readonly (readonly (string | Buffer)[])[],
): Promise<readonly SentEntry[]> {
  return await sendEntries(
    redis,
    stream,
    sending.map((fields) => ({ fields })),
  );
}

async function sendEntries(
  redis: Redis,
  stream: string,
  entries: readonly { readonly fields: readonly (string | Buffer)[]; readonly position?: Position }[],
): Promise<readonly SentEntry[]> {
  const pipeline = redis.pipeline();
  for (const { fields } of entries) pipeline.xadd(stream, '*', ...fields);
  const replies = (await pipeline.exec()) ?? [];
  return entries.map(({ fields, position }, index) => {
    const [error, id] = replies[index] ?? [];
    if (typeof id !== 'string') throw error ?? new Error('XADD was not answered');
    const bytes = fields.map((field) => Buffer.from(field));
    return position === undefined ? { id, fields: bytes } : { id, fields: bytes, position };
  });
}
