import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@app/test-kit/eventually';
import { Program } from '@app/test-kit/program';
import { Redis } from 'ioredis';
import { untilAcknowledged } from '../processor/drain.ts';
import type { GeneratorOptions } from '../processor/open-loop-generator.ts';
import { startProcessor } from '../processor/run-processor.ts';
import { watchCommits } from '../processor/watch-commits.ts';
import { quantile } from '../quantile.ts';
import type { BenchServers } from '../servers.ts';
import { openRace } from './open-race.ts';
import { seededRace } from './seeded-race.ts';

/** From the commit of the fix after a gate until the passing is announced, in ms. */
export interface ResultLatency {
  readonly ratePerS: number;
  readonly entries: number;
  readonly sentPerS: number;
  readonly passings: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

interface Seen {
  readonly deviceId: string;
  readonly afterAtMs: number;
  readonly seenAtMs: number;
}

/** Fixes of this share of the time are not counted: the first ones wait for compilation. */
const warmUpShare = 0.1;

/** Fixes of a simulated race, faster or slower than its clock, whose vehicles are the entries of one event. */
export async function benchResultLatency(
  servers: BenchServers,
  {
    ratePerS,
    seconds,
    entries,
  }: { readonly ratePerS: number; readonly seconds: number; readonly entries: number },
  print: (line: string) => void,
): Promise<ResultLatency> {
  const { sql, redis, redisUrl, postgresUrl, keyPrefix } = servers;
  const stream = `${keyPrefix}results`;
  const race = seededRace(entries);
  const eventId = race.event.id;
  await using _race = await openRace(servers, race, 'running');
  await sql`truncate positions`;
  await using watch = await watchCommits(sql, 'positions');
  await using processor = await startProcessor(redisUrl, postgresUrl, stream);
  await processor.logged(/^evaluating the event$/u);
  await using reading = readPassings(servers, eventId);
  const options: GeneratorOptions = { redisUrl, stream, ratePerS, seconds, devices: entries };
  await using generator = new Program({
    main: new URL('../processor/open-loop-generator.ts', import.meta.url),
    env: { GENERATOR: JSON.stringify(options) },
  });
  const sendingS = await generator.line(({ seconds: took }) => (typeof took === 'number' ? took : undefined));
  await untilAcknowledged(redis, stream, processor, ratePerS * seconds);
  await redis.unlink(stream);

  const { committedAtMs } = watch;
  const rows = await eventually(
    async () => {
      await reading.failure();
      const causes = JSON.stringify([...reading.seen].map(([key, one]) => Object.assign({ key }, one)));
      const found = await sql<{ key: string; seenAtMs: number | null; transaction: string }[]>`
        select passings.key, "seenAtMs", positions.xmin::text as transaction
          from passings
          left join json_to_recordset(${causes}::text::json)
                 as seen (key text, "deviceId" text, "afterAtMs" float8, "seenAtMs" float8) using (key)
          join positions on positions.device_id = coalesce("deviceId", passings.device_id)
                        and ts = coalesce(to_timestamp("afterAtMs" / 1000), after_at)
         where event_id = ${eventId}`;
      return found.every(({ seenAtMs, transaction }) => seenAtMs !== null && committedAtMs.has(transaction))
        ? found
        : undefined;
    },
    { timeoutMs: 60_000, intervalMs: 500 },
  );
  const fromMs = Math.min(...committedAtMs.values()) + warmUpShare * seconds * 1000;
  const latenciesMs = rows.flatMap(({ seenAtMs, transaction }) => {
    const committedMs = committedAtMs.get(transaction) ?? Number.NaN;
    return committedMs < fromMs ? [] : [(seenAtMs ?? Number.NaN) - committedMs];
  });
  const result = {
    ratePerS,
    entries,
    sentPerS: (ratePerS * seconds) / sendingS,
    passings: latenciesMs.length,
    p50Ms: quantile(latenciesMs, 0.5),
    p99Ms: quantile(latenciesMs, 0.99),
    maxMs: quantile(latenciesMs, 1),
  };
  const [p50, p99] = [result.p50Ms, result.p99Ms].map((ms) => ms.toFixed(0));
  print(`results at ${ratePerS} fixes/s: ${result.passings} passings, p50 ${p50} ms, p99 ${p99} ms`);
  return result;
}

/** Reads the announcements of an event as a gateway does, and notes when it first knew each passing. */
function readPassings({ redisUrl, sql }: BenchServers, eventId: string) {
  const seen = new Map<string, Seen>();
  const redis = new Redis(redisUrl);
  const stopping = new AbortController();
  const note = (rows: readonly Readonly<Record<string, unknown>>[]): void => {
    const seenAtMs = performance.timeOrigin + performance.now();
    for (const { key, device_id: deviceId, after_at: afterAt } of rows) {
      if (seen.has(String(key))) continue;
      seen.set(String(key), { deviceId: String(deviceId), afterAtMs: Number(afterAt), seenAtMs });
    }
  };
  const reading = (async () => {
    for (let id = '0'; !stopping.signal.aborted;) {
      const reply = await redis.xread('BLOCK', 500, 'STREAMS', `results:${eventId}`, id);
      for (const [entryId, fields] of reply?.[0]?.[1] ?? []) {
        id = entryId;
        const changes = fields[fields.indexOf('changes') + 1];
        if (fields.includes('changes')) note(JSON.parse(changes ?? '{}').passings.rows);
        else {
          note(
            await sql`
            select key, device_id, extract(epoch from after_at) * 1000 as after_at
              from passings where event_id = ${eventId}`,
          );
        }
      }
    }
  })();
  return {
    seen,
    /** Rejects if reading has failed. */
    failure: () => Promise.race([reading, sleep(0)]),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await reading;
      redis.disconnect();
    },
  };
}
