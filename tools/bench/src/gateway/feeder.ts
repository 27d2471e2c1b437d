// Sends a fix per second of each device, evenly spread, whatever the consumers do.
import { setTimeout as sleep } from 'node:timers/promises';
import { encodeFields } from '@app/shared/entry';
import { Redis } from 'ioredis';

export interface FeederOptions {
  readonly redisUrl: string;
  readonly stream: string;
  readonly imeis: readonly string[];
}

const intervalMs = 4;
const streamLength = 20_000;
/** Vehicles are in a row along the parallel, so that a box of half the length contains half of them. */
export const west = 8;
export const east = 9;

async function feed({ redisUrl, stream, imeis }: FeederOptions): Promise<void> {
  const redis = new Redis(redisUrl);
  await redis.ping();
  process.stdout.write(`${JSON.stringify({ isFeeding: true })}\n`);
  const startedAtMs = performance.now();
  for (let sent = 0; ;) {
    const due = Math.floor(((performance.now() - startedAtMs) * imeis.length) / 1000);
    const pipeline = redis.pipeline();
    for (; sent < due; sent += 1) {
      const record = encodeFields({ codec: '8E', position: positionOf(imeis, sent) });
      pipeline.xadd(stream, 'MAXLEN', '~', streamLength, '*', ...record);
    }
    if (pipeline.length > 0) await pipeline.exec();
    await sleep(intervalMs);
  }
}

function positionOf(imeis: readonly string[], number: number) {
  const index = number % imeis.length;
  const round = Math.floor(number / imeis.length);
  return {
    deviceId: imeis[index] ?? '',
    fixAtMs: Date.now(),
    latitude: 46 + (round % 1000) / 100_000,
    longitude: west + ((east - west) * (index + (round % 7) / 7)) / imeis.length,
    altitudeM: 500 + (round % 40),
    courseDeg: (index * 13 + round) % 360,
    speedKmh: 60 + (number % 50),
    satellites: 11,
    priority: 0 as const,
    attributes: { 239: 1, 240: 1, 21: 4, 66: 13_900, 67: 4012, 181: 9, 182: 6 },
  };
}

if (import.meta.main) await feed(JSON.parse(process.env['FEEDER'] ?? ''));
