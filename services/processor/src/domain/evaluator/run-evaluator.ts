import type { Logger } from '@app/runtime/log';
import { delay } from '@app/runtime/retry';
import type { Sql } from 'postgres';
import type { RunningEvent } from '../list-running-events.ts';
import { deleteResultsOfDeletedEvents } from './deleted-events.ts';
import { EventEvaluator, type EvaluatorResources } from './event-evaluator.ts';
import { claimEvent, countUnevaluated, LeaseLostError, releaseEvent } from './event-lease.ts';
import { deleteOldFaultyChanges } from './faulty-changes.ts';

const listIntervalMs = 2000;
/** From one evaluation to the next; between them storing has the thread for itself. */
const evaluateIntervalMs = 500;
const pauseMs = 100;
const retryAfterMs = 2000;
const reportIntervalMs = 1000;
const cleanUpIntervalMs = 3_600_000;

export interface EvaluatorOptions extends EvaluatorResources {
  /** `all`, `none`, or ids. */
  readonly eventIds: readonly string[];
  /** Who holds an event: the name of this replica. */
  readonly holder: string;
  readonly listEvents: (sql: Sql) => Promise<readonly RunningEvent[]>;
}

interface Evaluation {
  readonly over: AbortController;
  readonly ended: Promise<void>;
  status: () => {
    readonly sinceMs: number;
    readonly dirty: number;
    readonly problems: number;
    readonly sos: number;
  };
}

/** Evaluates running events, and counts those that nobody evaluates, until the signal aborts. Never rejects: what fails is logged, counted and retried. */
export async function runEvaluator(options: EvaluatorOptions, signal: AbortSignal): Promise<void> {
  const { eventIds, listEvents, postgres, metrics, log } = options;
  const evaluations = new Map<string, Evaluation>();
  const failures = new FailureLog(log);
  let cleanedUpAtMs = -Infinity;
  const reporting = setInterval(() => reportStatus(metrics, evaluations), reportIntervalMs);

  while (!signal.aborted) {
    try {
      const running = await postgres.run((sql) => listEvents(sql), 'reading running events');
      const wanted = new Set(
        running.map(({ id }) => id).filter((id) => eventIds.includes('all') || eventIds.includes(id)),
      );
      for (const [eventId, { over }] of evaluations) if (!wanted.has(eventId)) over.abort();
      for (const eventId of wanted) {
        if (!evaluations.has(eventId)) startEvaluation(eventId, options, evaluations, signal);
      }
      metrics.eventsWithoutEvaluator.set(
        await countUnevaluated(
          postgres,
          running.map(({ id }) => id),
        ),
      );
      if (performance.now() - cleanedUpAtMs > cleanUpIntervalMs) {
        cleanedUpAtMs = performance.now();
        await deleteOldFaultyChanges(postgres);
        await deleteResultsOfDeletedEvents(postgres);
      }
      failures.succeeded('running events are read again');
    } catch (error) {
      failures.failed(error, 'reading running events failed; retrying');
    }
    await pause(listIntervalMs, signal);
  }
  await Promise.all([...evaluations.values()].map(({ ended }) => ended));
  clearInterval(reporting);
}

function startEvaluation(
  eventId: string,
  options: EvaluatorOptions,
  evaluations: Map<string, Evaluation>,
  signal: AbortSignal,
): void {
  const over = new AbortController();
  const startedAtMs = performance.now();
  const evaluation: Evaluation = {
    over,
    status: () => ({ sinceMs: startedAtMs, dirty: 0, problems: 0, sos: 0 }),
    // Not before the entry is in the map.
    ended: Promise.resolve()
      .then(() => evaluateEvent(eventId, options, evaluation, signal))
      .catch((error: unknown) => options.log.error({ eventId, error }, 'evaluating the event ended'))
      .finally(() => evaluations.delete(eventId)),
  };
  evaluations.set(eventId, evaluation);
}

/** Bids for the event, and evaluates it while it is held. */
async function evaluateEvent(
  eventId: string,
  options: EvaluatorOptions,
  evaluation: Evaluation,
  signal: AbortSignal,
): Promise<void> {
  const { postgres, holder, log } = options;
  const over = AbortSignal.any([evaluation.over.signal, signal]);
  const failures = new FailureLog(log.child({ eventId }));
  while (!over.aborted) {
    try {
      const lease = await claimEvent(postgres, eventId, holder);
      if (lease) {
        failures.succeeded('the event is claimed again');
        log.info({ eventId, epoch: lease.epoch }, 'evaluating the event');
        await evaluateUntilOver(new EventEvaluator(lease, options), options, evaluation, signal, failures);
        await releaseEvent(postgres, lease);
      } else {
        // Another processor evaluates it, and this one is not behind.
        evaluation.status = () => ({ sinceMs: performance.now(), dirty: 0, problems: 0, sos: 0 });
      }
    } catch (error) {
      if (error instanceof LeaseLostError)
        log.warn({ eventId }, 'another processor has taken the event over');
      else if (!over.aborted) failures.failed(error, 'evaluating the event failed; retrying');
    }
    await pause(retryAfterMs, over);
  }
}

/** @throws {LeaseLostError} */
async function evaluateUntilOver(
  evaluator: EventEvaluator,
  { metrics }: EvaluatorOptions,
  evaluation: Evaluation,
  signal: AbortSignal,
  failures: FailureLog,
): Promise<void> {
  const { signal: over } = evaluation.over;
  const either = AbortSignal.any([over, signal]);
  let evaluatedAtMs = performance.now();
  evaluation.status = () => ({
    sinceMs: Math.min(evaluatedAtMs, evaluator.dirtySinceMs ?? Infinity),
    dirty: evaluator.dirtyCount,
    problems: evaluator.problemCount,
    sos: evaluator.openSos,
  });
  while (!signal.aborted) {
    const isLast = over.aborted;
    const startedAtMs = performance.now();
    let waitMs = evaluateIntervalMs;
    try {
      await evaluator.evaluate(signal, isLast);
      evaluatedAtMs = startedAtMs;
      metrics.evaluations.inc({ result: 'done' });
      failures.succeeded('evaluating the event works again');
      if (isLast && evaluator.dirtyCount === 0) return;
    } catch (error) {
      if (error instanceof LeaseLostError) throw error;
      if (signal.aborted) return;
      metrics.evaluations.inc({ result: 'failed' });
      failures.failed(error, 'evaluating the event failed; retrying');
      waitMs = retryAfterMs;
    }
    const tookMs = performance.now() - startedAtMs;
    metrics.evaluationSeconds.observe(tookMs / 1000);
    await pause(Math.max(pauseMs, waitMs - tookMs), isLast ? signal : either);
  }
}

function reportStatus(
  metrics: EvaluatorOptions['metrics'],
  evaluations: ReadonlyMap<string, Evaluation>,
): void {
  const statuses = [...evaluations.values()].map(({ status }) => status());
  const nowMs = performance.now();
  metrics.dirtyDevices.set(sum(statuses.map(({ dirty }) => dirty)));
  metrics.raceProblems.set(sum(statuses.map(({ problems }) => problems)));
  metrics.openSos.set(sum(statuses.map(({ sos }) => sos)));
  const behindMs = Math.max(0, ...statuses.map(({ sinceMs }) => nowMs - sinceMs));
  metrics.evaluationBehindSeconds.set(behindMs / 1000);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Rejects only on stop, which the loops check.
  await delay(ms, signal).catch(() => undefined);
}

/** Logs a failure once, until it is over. */
class FailureLog {
  readonly #log: Logger;
  #isFailing = false;

  constructor(log: Logger) {
    this.#log = log;
  }

  failed(error: unknown, message: string): void {
    if (!this.#isFailing) this.#log.warn({ error }, message);
    this.#isFailing = true;
  }

  succeeded(message: string): void {
    if (this.#isFailing) this.#log.info(message);
    this.#isFailing = false;
  }
}
