import { readPairs } from '@app/live-gateway/feed/stream-info';
import { deadLetterStream } from '@app/processor/stream/dead-letter';
import { entryArrivedAtMs } from '@app/shared/entry';
import type { Redis } from 'ioredis';
import { countOf, failed, note, ok, type Finding } from './finding.ts';

const silentMs = 120_000;
const lateMs = 30_000;
const fullRatio = 0.9;

interface StreamOptions {
  readonly stream: string;
  readonly group: string;
  readonly maxDeadLetters: number;
}

/** A telemetry stream, its consumer group and its dead letters. */
export async function checkStream(redis: Redis, options: StreamOptions): Promise<readonly Finding[]> {
  const { stream, group } = options;
  const type = await redis.type(stream);
  if (type !== 'stream') {
    const found = type === 'none' ? 'does not exist' : `is a ${type}, not a stream`;
    return [failed(stream, found, 'Compare REDIS_TELEMETRY_STREAM with the key that the ingestion writes')];
  }
  const [seconds, micros] = await redis.time();
  const nowMs = Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
  const info = readPairs(await redis.xinfo('STREAM', stream));
  const lastGeneratedId = String(info.get('last-generated-id'));
  const groups = readList(await redis.xinfo('GROUPS', stream));
  const state = groups.find((candidate) => candidate.get('name') === group);
  const supply = checkSupply(stream, lastGeneratedId, Number(info.get('length')), nowMs);
  if (state === undefined) {
    const todo = 'Start the processor, which creates it; check REDIS_CONSUMER_GROUP';
    return [
      supply,
      failed('consumer group', `${group} is missing`, todo),
      await checkDeadLetters(redis, options),
    ];
  }
  const lastDeliveredId = String(state.get('last-delivered-id'));
  return [
    supply,
    checkAhead(lastDeliveredId, lastGeneratedId, options),
    await checkLag(redis, lastDeliveredId, options, nowMs),
    await checkDeadLetters(redis, options),
  ];
}

function checkSupply(stream: string, lastId: string, length: number, nowMs: number): Finding {
  if (lastId === '0-0') return note(stream, 'never had an entry');
  const ageMs = nowMs - entryArrivedAtMs(lastId);
  const found = `${countOf(length, 'entry', 'entries')}, the newest ${describeMs(ageMs)} old`;
  return ageMs <= silentMs ? ok(stream, found) : note(stream, found, 'In a race: is the ingestion running?');
}

/** Entries up to the last delivered id are never delivered, also those that are still to be added. */
function checkAhead(
  lastDeliveredId: string,
  lastGeneratedId: string,
  { stream, group }: StreamOptions,
): Finding {
  return compareIds(lastDeliveredId, lastGeneratedId) <= 0
    ? ok('consumer group', `${group} is at ${lastDeliveredId}`)
    : failed(
        'consumer group',
        `${group} is ahead of its stream (${lastDeliveredId} is later than ${lastGeneratedId}): new entries are skipped`,
        `XGROUP SETID ${stream} ${group} with the id up to which entries are stored`,
      );
}

async function checkLag(
  redis: Redis,
  lastDeliveredId: string,
  { stream, group }: StreamOptions,
  nowMs: number,
): Promise<Finding> {
  const [first] = await redis.xrange(stream, `(${lastDeliveredId}`, '+', 'COUNT', 1);
  const pending = await redis.xpending(stream, group);
  const pendingCount = Array.isArray(pending) ? Number(pending[0]) : 0;
  const lagMs = first === undefined ? 0 : nowMs - entryArrivedAtMs(first[0]);
  const consumers = readList(await redis.xinfo('CONSUMERS', stream, group));
  const found = `${describeMs(lagMs)} behind, ${countOf(pendingCount, 'entry', 'entries')} pending, ${countOf(consumers.length, 'consumer')}`;
  if (lagMs <= lateMs) return ok('lag', found);
  // An idle stream does not renew it, at least in Redis 7.0, so that it only tells something about one that is behind.
  const idleMs = Math.min(...consumers.map((consumer) => Number(consumer.get('idle'))));
  return idleMs <= lateMs
    ? failed('lag', found, 'docs/operations.md#processorlag')
    : failed('lag', `${found}, none reading`, 'Start the processor; its last log lines say why it ended');
}

async function checkDeadLetters(redis: Redis, { stream, maxDeadLetters }: StreamOptions): Promise<Finding> {
  const count = await redis.xlen(deadLetterStream(stream));
  const found = `${count} of at most ${maxDeadLetters}`;
  if (count === 0) return ok('dead letters', 'none');
  if (count < fullRatio * maxDeadLetters) return note('dead letters', found, './run dlq list');
  return failed('dead letters', found, 'docs/operations.md#deadletterstreamfills');
}

function readList(reply: unknown): readonly ReadonlyMap<string, unknown>[] {
  return Array.isArray(reply) ? reply.map(readPairs) : [];
}

function compareIds(a: string, b: string): number {
  const [aMs = 0n, aSeq = 0n] = a.split('-').map(BigInt);
  const [bMs = 0n, bSeq = 0n] = b.split('-').map(BigInt);
  const difference = aMs === bMs ? aSeq - bSeq : aMs - bMs;
  return Number(difference > 0n) - Number(difference < 0n);
}

function describeMs(ms: number): string {
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
