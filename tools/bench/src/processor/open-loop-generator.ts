// Sends records at a fixed rate, whatever the consumer does: a slow consumer must not slow down its own measurement.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { backlogFields } from './backlog.ts';

export interface GeneratorOptions {
  readonly redisUrl: string;
  readonly stream: string;
  readonly ratePerS: number;
  readonly seconds: number;
  readonly devices: number;
}

/** The attribute with the send time, in hundredths of a millisecond since the epoch. */
export const sentAtAttribute = '20000';

const intervalMs = 2;

async function generate({ redisUrl, stream, ratePerS, seconds, devices }: GeneratorOptions): Promise<number> {
  const redis = new Redis(redisUrl);
  const total = ratePerS * seconds;
  // Prepared before: making a record costs more than sending it.
  const records = [...backlogFields({ entries: total, devices, repeatedPercent: 0 })];
  await redis.ping();
  const startedAtMs = performance.now();
  let sent = 0;
  const replies: Promise<unknown>[] = [];
  while (sent < total) {
    const due = Math.min(total, Math.floor(((performance.now() - startedAtMs) * ratePerS) / 1000));
    if (due > sent) {
      const pipeline = redis.pipeline();
      const sentAtMs = performance.timeOrigin + performance.now();
      for (; sent < due; sent += 1) pipeline.xadd(stream, '*', ...stamped(records[sent] ?? [], sentAtMs));
      replies.push(pipeline.exec());
    }
    await sleep(intervalMs);
  }
  await Promise.all(replies);
  const tookMs = performance.now() - startedAtMs;
  redis.disconnect();
  return tookMs / 1000;
}

// The attributes are the last member of the payload, so the stamp goes before its two closing braces.
function stamped(fields: readonly string[], sentAtMs: number): string[] {
  const payload = fields.at(-1) ?? '';
  return [
    ...fields.slice(0, -1),
    `${payload.slice(0, -2)},"${sentAtAttribute}":${Math.round(sentAtMs * 100)}}}`,
  ];
}

if (import.meta.main) {
  const seconds = await generate(JSON.parse(process.env['GENERATOR'] ?? ''));
  process.stdout.write(`${JSON.stringify({ seconds })}\n`);
}
