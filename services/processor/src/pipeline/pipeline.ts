import type { Logger } from '@app/runtime/log';
import { retry } from '@app/runtime/retry';
import type { TraceStep } from '@app/runtime/tracing';
import { qualityFlags } from '@app/shared/quality';
import type { Redis } from 'ioredis';
import type { Metrics } from '../metrics.ts';
import type { EntryAcks } from '../stream/ack-entries.ts';
import { decodeEntries, type Fix, type FutureLimits, type Rejected } from './decode-entries.ts';
import type { DeviceStates, StateTransition } from '../state/device-states.ts';
import type { Entry } from '../stream/entry-reply.ts';
import type { InFlight } from './in-flight.ts';
import { findMarkedEntries, MarkedAttempt } from './marked-attempt.ts';
import { type DeadLetterTarget, writeDeadLetters } from '../stream/write-dead-letters.ts';
import type { EntryBatch } from '../stream/read-entries.ts';
import { traceInsert } from './trace-insert.ts';
import type { FixWriter, WrittenFixes } from '../store/write-fixes.ts';

/**
 * The door to the domain. What it hears is durable and in reading order, which is the stream's; after a crash, and
 * where the group is made again and read from 0, it may hear again, or for the first time, what lies before that. So a
 * domain step is idempotent.
 */
export type AfterWrite = (heard: readonly StateTransition[]) => Promise<void>;

/** What the loop of one stream is made of. */
export interface PipelineParts {
  readonly stream: string;
  readonly next: (stop: AbortSignal) => Promise<EntryBatch | undefined>;
  readonly writer: Pick<FixWriter, 'write' | 'whenNotRetrying'>;
  readonly states: Pick<DeviceStates, 'next' | 'commit'>;
  readonly afterWrite: AfterWrite;
  readonly redis: Redis;
  readonly deadLetters: DeadLetterTarget;
  readonly acks: EntryAcks;
  readonly inFlight: InFlight;
  readonly future: FutureLimits;
  /** Batches between their read and their acknowledgement, at the most. */
  readonly batchesInFlight: number;
  /** Called when a retry begins: a loop that waits as it should is alive. */
  readonly onRetry: () => void;
  readonly trace?: TraceStep | undefined;
  readonly metrics: Metrics;
  readonly log: Logger;
}

const afterWriteAttempts = 8;
const acksOwedLimit = 20_000;
const idsInOneText = 200;
/** Lone attempts that may end with the death of the process before the entry is held to be its cause. */
const deathsAllowed = 2;

/**
 * Runs the loop of one stream until `stop` is asked for and all that was read is written, heard, parked and
 * acknowledged. Rejects if a step fails for a reason that no retry heals, and with `abandon`'s reason once that
 * aborts; what is not acknowledged by then stays pending and comes again.
 */
export async function runPipeline(
  parts: PipelineParts,
  stop: AbortSignal,
  abandon: AbortSignal,
): Promise<void> {
  const { inFlight, acks } = parts;
  const failure = new AbortController();
  const giveUp = AbortSignal.any([abandon, failure.signal]);
  const stopReading = AbortSignal.any([stop, giveUp]);
  let finished: Promise<void> = Promise.resolve();

  for (;;) {
    await parts.writer.whenNotRetrying();
    await acks.flush(acksOwedLimit);
    const batch = await parts.next(stopReading);
    if (batch === undefined) break;
    inFlight.add(batch);
    await inFlight.capacity(parts.batchesInFlight);
    // Whatever else were in flight would share the blame.
    if (batch.isQuarantined) await finished;
    const before = finished;
    finished = (batch.isQuarantined ? processSuspects : processBatch)(parts, batch, before, giveUp);
    // It is awaited at the end; here a failure only has to end the reading at once.
    finished.catch((error: unknown) => failure.abort(error)).finally(() => inFlight.remove(batch));
    if (batch.isQuarantined) await finished;
  }
  await finished;
  giveUp.throwIfAborted();
  await acks.flush(0);
}

/** All steps of one batch. Inserts overlap with those of other batches; the steps after wait for their turn. */
async function processBatch(
  parts: PipelineParts,
  { entries, vanishedIds }: Pick<EntryBatch, 'entries' | 'vanishedIds'>,
  before: Promise<void>,
  giveUp: AbortSignal,
  attempt?: MarkedAttempt,
): Promise<void> {
  const { states, acks, stream, trace } = parts;
  const decoded = decodeEntries(entries, parts.future);
  const written = await traceInsert(trace, stream, entries, () =>
    parts.writer.write(decoded.fixes, giveUp, attempt),
  );
  await before;
  observe(parts, written);
  const proposed = await states.next(written.durable, giveUp);
  await hear(parts, proposed.transitions, giveUp, attempt);
  states.commit(proposed);
  const rejected = [...decoded.rejected, ...written.refused, ...written.conflicting.map(sameTime)];
  for (const { reason } of decoded.rejected) parts.metrics.decodeErrors.inc({ reason });
  await park(parts, rejected, giveUp);
  // Last of all: a crash before this line must bring the batch again.
  acks.add([...entries.map(({ id }) => id), ...vanishedIds], giveUp);
  logBatch(parts, entries, written, rejected);
}

/** One line, with every id: an operator follows an entry by it, from its redeliveries to what became of it. */
function logBatch(
  { log, stream }: PipelineParts,
  entries: readonly Entry[],
  { durable }: WrittenFixes,
  rejected: readonly Rejected[],
): void {
  if (!log.isLevelEnabled('debug')) return;
  const counts = { entries: entries.length, durable: durable.length, rejected: rejected.length };
  const ids = inTexts(entries);
  const rejectedIds = inTexts(rejected.map(({ entry }) => entry));
  log.debug({ stream, ...counts, ids, rejectedIds }, 'batch done');
}

/** Ids with spaces between, a few texts of them: the log cuts off a long text, and a list of a thousand. */
function inTexts(entries: readonly Entry[]): readonly string[] {
  const texts: string[] = [];
  for (let from = 0; from < entries.length; from += idsInOneText) {
    const some = entries.slice(from, from + idsInOneText);
    texts.push(some.map(({ id }) => id).join(' '));
  }
  return texts;
}

/**
 * Entries that were delivered too often are tried under a mark that only a death leaves behind: together, for after an
 * outage there are many and nearly all are as good as any. One that has a mark already is tried alone.
 */
async function processSuspects(
  parts: PipelineParts,
  { entries }: EntryBatch,
  before: Promise<void>,
  giveUp: AbortSignal,
): Promise<void> {
  const { redis, stream, onRetry } = parts;
  const markedIds = await findMarkedEntries(redis, stream, { abandon: giveUp, onRetry });
  for (const company of splitSuspects(entries, markedIds)) {
    await using attempt = await MarkedAttempt.begin(
      redis,
      stream,
      company.map(({ id }) => id),
      { abandon: giveUp, onRetry },
    );
    await processMarked(parts, company, before, giveUp, attempt);
  }
}

/** In reading order: a company of those between two that are marked, and each of these alone. */
function splitSuspects(
  entries: readonly Entry[],
  markedIds: ReadonlySet<string>,
): readonly (readonly Entry[])[] {
  const companies: Entry[][] = [];
  let isOpen = false;
  for (const entry of entries) {
    const isMarked = markedIds.has(entry.id);
    if (isOpen && !isMarked) companies.at(-1)?.push(entry);
    else companies.push([entry]);
    isOpen = !isMarked;
  }
  return companies;
}

async function processMarked(
  parts: PipelineParts,
  entries: readonly Entry[],
  before: Promise<void>,
  giveUp: AbortSignal,
  attempt: MarkedAttempt,
): Promise<void> {
  if (attempt.unendedAttempts > deathsAllowed) await attempt.outlive(deathsAllowed);
  const [entry] = entries;
  if (entry === undefined || attempt.unendedAttempts <= deathsAllowed) {
    await processBatch(parts, { entries, vanishedIds: [] }, before, giveUp, attempt);
    return;
  }
  const detail = `the process died ${attempt.unendedAttempts - 1} times while it tried this entry alone`;
  await park(parts, [{ entry, reason: 'ended_process', detail }], giveUp);
  parts.acks.add([entry.id], giveUp);
}

/** The domain may fail for a while; what is behind this batch waits, and at last the process ends. */
async function hear(
  parts: PipelineParts,
  heard: readonly StateTransition[],
  giveUp: AbortSignal,
  attempt?: MarkedAttempt,
): Promise<void> {
  if (heard.length === 0) return;
  const tell = async (): Promise<void> => {
    await attempt?.resume();
    await parts.afterWrite(heard);
  };
  await retry(tell, {
    signal: giveUp,
    maxAttempts: afterWriteAttempts,
    onRetry: (error, delayMs) => {
      parts.onRetry();
      parts.log.error({ error, delayMs }, 'the domain failed on a batch; nothing passes until it takes it');
    },
  });
}

async function park(parts: PipelineParts, rejected: readonly Rejected[], giveUp: AbortSignal): Promise<void> {
  if (rejected.length === 0) return;
  const { redis, deadLetters, metrics, log, stream } = parts;
  await retry(() => writeDeadLetters(redis, deadLetters, rejected), {
    signal: giveUp,
    onRetry: (error, delayMs) => {
      parts.onRetry();
      log.warn({ error, delayMs }, 'Redis did not take the dead letters; trying again');
    },
  });
  const byReason = Map.groupBy(rejected, ({ reason }) => reason);
  for (const [reason, letters] of byReason) {
    metrics.deadLetters.inc({ reason }, letters.length);
    // A storm of garbage must not become a storm of log lines: the dead letters hold every id.
    const ids = letters.slice(0, 10).map(({ entry }) => entry.id);
    log.warn({ stream, reason, detail: letters[0]?.detail, entries: letters.length, ids }, 'entries parked');
  }
}

function sameTime({ entry }: Fix): Rejected {
  const detail = 'another record of this device with the same fix time and other content is stored already';
  return { entry, reason: 'same_time', detail };
}

function observe({ metrics }: PipelineParts, { durable }: WrittenFixes): void {
  const nowMs = Date.now();
  const latency = metrics.ingestLatencySeconds.labels();
  for (const { arrivedAtMs, quality } of durable) {
    // Two clocks, Redis' and ours: a difference between them shows as latency, but never as a negative one.
    latency.observe(Math.max(0, nowMs - arrivedAtMs) / 1000);
    if (quality !== 0) for (const flag of qualityFlags(quality)) metrics.fixQuality.inc({ flag });
  }
}
