// What one position costs in CPU, by step, with the processor's own functions one after the other.
import { decodeEntries, type Fix } from '@app/processor/core/decode-entries';
import { DeviceStates } from '@app/processor/core/device-states';
import { parseReadReply } from '@app/processor/core/entry-reply';
import { insertPositions } from '@app/processor/core/insert-positions';
import { StreamConnection } from '@app/processor/core/stream-connection';
import { sortByKey } from '@app/processor/core/write-fixes';
import { createMetrics } from '@app/processor/metrics';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { fillStream } from './backlog.ts';

export interface StepCostOptions {
  readonly redisUrl: string;
  readonly postgresUrl: string;
  readonly stream: string;
  readonly entries: number;
  readonly devices: number;
  readonly attributes?: number;
}

/** CPU of the processor's process in µs per position, user and system; and what a device's state takes. */
export const stepCosts = z.object({
  devices: z.number(),
  attributes: z.number(),
  readUs: z.number(),
  decodeUs: z.number(),
  writeUs: z.number(),
  stateUs: z.number(),
  ackUs: z.number(),
  stateBytesPerDevice: z.number(),
  rssBytes: z.number(),
});

export type StepCosts = Readonly<z.output<typeof stepCosts>>;

const batchSize = 1000;
const group = 'costs';
const deadlineMs = 30_000;

async function measureStepCosts(options: StepCostOptions): Promise<StepCosts> {
  const { redisUrl, postgresUrl, stream, entries, devices } = options;
  const redis = new Redis(redisUrl);
  const sql = postgres(postgresUrl, { max: 1, onnotice: () => undefined });
  await fillStream(redis, stream, { ...options, repeatedPercent: 0 });
  await redis.xgroup('CREATE', stream, group, '0');
  await sql`truncate positions`;
  const connection = await StreamConnection.open(redisUrl, 'bench:costs', deadlineMs);
  const states = new DeviceStates(1_000_000, async () => new Map(), createMetrics(new Registry()));
  const signal = new AbortController().signal;

  const us = { read: 0, decode: 0, write: 0, state: 0, ack: 0 };
  const timed = async <T>(step: keyof typeof us, work: () => Promise<T> | T): Promise<T> => {
    const before = process.cpuUsage();
    const result = await work();
    const { user, system } = process.cpuUsage(before);
    us[step] += user + system;
    return result;
  };
  let measured = 0;
  let attributes = 0;
  for (let done = 0; done < entries; done += batchSize) {
    // The first fifth warms the machine code up.
    if (done === Math.ceil(entries / 5 / batchSize) * batchSize) {
      for (const step of ['read', 'decode', 'write', 'state', 'ack'] as const) us[step] = 0;
      measured = 0;
    }
    const args = ['GROUP', group, 'bench', 'COUNT', batchSize, 'STREAMS', stream, '>'];
    const batch = await timed('read', async () =>
      parseReadReply(await connection.call('XREADGROUP', args, deadlineMs)),
    );
    const { fixes } = await timed('decode', () =>
      decodeEntries(batch.entries, { flagMs: Infinity, limitMs: Infinity }),
    );
    attributes = countAttributes(fixes);
    await timed('write', () => insertPositions(sql, sortByKey(fixes).unique));
    await timed('state', async () => states.commit(await states.next(fixes, signal)));
    await timed('ack', () => redis.xack(stream, group, ...batch.entries.map(({ id }) => id)));
    measured += fixes.length;
  }
  connection.close();
  redis.disconnect();
  await sql.end();
  return {
    devices,
    attributes,
    readUs: us.read / measured,
    decodeUs: us.decode / measured,
    writeUs: us.write / measured,
    stateUs: us.state / measured,
    ackUs: us.ack / measured,
    stateBytesPerDevice: await stateBytesPerDevice(),
    rssBytes: process.memoryUsage.rss(),
  };
}

function countAttributes(fixes: readonly Fix[]): number {
  const counts = fixes.map(({ position }) => Object.keys(JSON.parse(position.attributesJson)).length);
  return Math.round(counts.reduce((sum, count) => sum + count, 0) / Math.max(1, counts.length));
}

/** The heap that 50,000 device states take, divided. */
async function stateBytesPerDevice(): Promise<number> {
  const devices = 50_000;
  const states = new DeviceStates(devices, async () => new Map(), createMetrics(new Registry()));
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const known = Array.from({ length: devices }, (_, index) => {
    const lastFix = {
      fixAtMs: index + 0.5,
      latitude: index + 0.5,
      longitude: 1.5,
      altitudeM: 1.5,
      courseDeg: 1.5,
      speedKmh: 1.5,
    };
    return [`35${String(index).padStart(13, '0')}`, { lastFix, lastSeenAtMs: Date.now() }] as const;
  });
  states.commit({ heard: [], states: new Map(known) });
  globalThis.gc?.();
  return (process.memoryUsage().heapUsed - before) / devices;
}

if (import.meta.main) {
  const costs = await measureStepCosts(JSON.parse(process.env['STEP_COSTS'] ?? ''));
  process.stdout.write(`${JSON.stringify({ costs })}\n`);
}
