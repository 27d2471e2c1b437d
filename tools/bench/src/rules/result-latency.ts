import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDirectus } from '@app/test-kit/directus';
import { eventually } from '@app/test-kit/eventually';
import { Program } from '@app/test-kit/program';
import { Redis } from 'ioredis';
import { WebSocket } from 'ws';
import { origin, startGateway } from '../gateway/race.ts';
import { untilAcknowledged } from '../processor/drain.ts';
import type { GeneratorOptions } from '../processor/open-loop-generator.ts';
import { startProcessor } from '../processor/run-processor.ts';
import { watchCommits } from '../processor/watch-commits.ts';
import { quantile } from '../quantile.ts';
import type { BenchServers } from '../servers.ts';
import { openRace } from './open-race.ts';
import { seededRace } from './seeded-race.ts';

/** From the commit of the fix after a gate until the passing is known, in ms. */
export interface ResultLatency {
  readonly ratePerS: number;
  readonly entries: number;
  readonly sentPerS: number;
  readonly passings: number;
  /** Read from `results:<event>` in Redis. */
  readonly announced: Quantiles;
  /** At a client of a gateway. */
  readonly received: Quantiles;
}

interface Quantiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** When a passing was announced first, and the fix after the gate. */
interface Announced {
  readonly deviceId: string;
  readonly afterAtMs: number;
  readonly announcedAtMs: number;
}

/** The processor updates its gauges this often. */
const metricAgeMs = 1000;

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
  await using announcements = readAnnouncements(servers, eventId);
  await using client = await openClient(servers, stream, eventId);
  const options: GeneratorOptions = { redisUrl, stream, ratePerS, seconds, devices: entries };
  await using generator = new Program({
    main: new URL('../processor/open-loop-generator.ts', import.meta.url),
    env: { GENERATOR: JSON.stringify(options) },
  });
  const sendingS = await generator.line(({ seconds: took }) => (typeof took === 'number' ? took : undefined));
  await untilAcknowledged(redis, stream, processor, ratePerS * seconds);
  const acknowledgedAtMs = performance.now();
  await redis.unlink(stream);

  const { committedAtMs } = watch;
  await eventually(
    async () => {
      await announcements.failure();
      const behindS = (await processor.metrics('processor_evaluation_behind_seconds')) ?? Infinity;
      // All fixes are stored before an evaluation that began later than the last acknowledgement.
      if (performance.now() - behindS * 1000 - metricAgeMs < acknowledgedAtMs) return false;
      const rows = await sql<{ key: string }[]>`select key from passings where event_id = ${eventId}`;
      return rows.every(
        ({ key }) => announcements.passings.has(key) && client.passings.has(withoutEvent(key)),
      );
    },
    { timeoutMs: 300_000, intervalMs: 500 },
  );
  const causes = JSON.stringify([...announcements.passings].map(([key, one]) => Object.assign({ key }, one)));
  const rows = await sql<{ key: string; announcedAtMs: number; transaction: string }[]>`
    select key, "announcedAtMs", positions.xmin::text as transaction
      from json_to_recordset(${causes}::text::json)
           as cause (key text, "deviceId" text, "afterAtMs" float8, "announcedAtMs" float8)
      join positions on device_id = "deviceId" and ts = to_timestamp("afterAtMs" / 1000)`;
  const fromMs = Math.min(...committedAtMs.values()) + warmUpShare * seconds * 1000;
  const passings = rows.flatMap(({ key, announcedAtMs, transaction }) => {
    const committedMs = committedAtMs.get(transaction) ?? Number.NaN;
    const receivedAtMs = client.passings.get(withoutEvent(key)) ?? Number.NaN;
    if (committedMs < fromMs) return [];
    return { announcedMs: announcedAtMs - committedMs, receivedMs: receivedAtMs - committedMs };
  });
  const result = {
    ratePerS,
    entries,
    sentPerS: (ratePerS * seconds) / sendingS,
    passings: passings.length,
    announced: quantilesOf(passings.map(({ announcedMs }) => announcedMs)),
    received: quantilesOf(passings.map(({ receivedMs }) => receivedMs)),
  };
  const [p50, p99] = [result.received.p50Ms, result.received.p99Ms].map((ms) => ms.toFixed(0));
  print(`results at ${ratePerS} fixes/s: ${result.passings} passings, p50 ${p50} ms, p99 ${p99} ms`);
  return result;
}

function quantilesOf(valuesMs: readonly number[]): Quantiles {
  return { p50Ms: quantile(valuesMs, 0.5), p99Ms: quantile(valuesMs, 0.99), maxMs: quantile(valuesMs, 1) };
}

function nowMs(): number {
  return performance.timeOrigin + performance.now();
}

/** As clients get a key. */
function withoutEvent(key: string): string {
  return key.slice(key.indexOf('/') + 1);
}

/** Reads the announcements of an event as a gateway does. */
function readAnnouncements({ redisUrl, sql }: BenchServers, eventId: string) {
  const passings = new Map<string, Announced>();
  const redis = new Redis(redisUrl);
  const stopping = new AbortController();
  const note = (rows: readonly Readonly<Record<string, unknown>>[]): void => {
    const announcedAtMs = nowMs();
    for (const { key, device_id: deviceId, after_at: afterAt } of rows) {
      if (passings.has(String(key))) continue;
      passings.set(String(key), { deviceId: String(deviceId), afterAtMs: Number(afterAt), announcedAtMs });
    }
  };
  const reading = (async () => {
    for (let id = '0'; !stopping.signal.aborted;) {
      const reply = await redis.xread('BLOCK', 500, 'STREAMS', `results:${eventId}`, id);
      for (const [entryId, fields] of reply?.[0]?.[1] ?? []) {
        id = entryId;
        const at = fields.indexOf('changes');
        if (at !== -1) note(JSON.parse(fields[at + 1] ?? '').passings.rows);
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
    passings,
    /** Rejects if reading has failed. */
    failure: () => Promise.race([reading, sleep(0)]),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await reading;
      redis.disconnect();
    },
  };
}

/** A client of the real gateway, subscribed to the results of the event. */
async function openClient(servers: BenchServers, stream: string, eventId: string) {
  await using stack = new AsyncDisposableStack();
  const directus = stack.use(await startDirectus());
  const [userId, session] = [randomUUID(), `session.${randomUUID()}`];
  directus.addSession(session, userId);
  directus.allow(userId, eventId);
  // Others are not sent passings that do not count.
  directus.allowIncidents(userId);
  const gateway = stack.use(await startGateway({ servers, directus, stream }));
  const socket = stack.adopt(
    new WebSocket(gateway.url, 'live.v1', {
      headers: { origin, cookie: `directus_session_token=${session}` },
    }),
    (opened) => opened.terminate(),
  );
  /** When each was received first, by key. */
  const passings = new Map<string, number>();
  const subscribed = Promise.withResolvers<void>();
  socket.on('open', () =>
    socket.send(JSON.stringify({ type: 'subscribe', id: 1, topic: `results:${eventId}` })),
  );
  socket.on('message', (data) => {
    if (!Buffer.isBuffer(data)) return;
    const { type, code, set } = JSON.parse(data.toString());
    if (type === 'error') subscribed.reject(new Error(`refused: ${code}`));
    if (type !== 'results') return;
    subscribed.resolve();
    for (const { key } of set?.passings ?? []) if (!passings.has(key)) passings.set(key, nowMs());
  });
  socket.on('error', subscribed.reject);
  await subscribed.promise;
  const owned = stack.move();
  return { passings, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
