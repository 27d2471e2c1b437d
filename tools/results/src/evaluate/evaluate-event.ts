import { hostname } from 'node:os';
import { announceResults } from '@app/processor/evaluator/announce-results';
import { computeResults, evaluateOnce, type EvaluatedRace } from '@app/processor/evaluator/evaluate-once';
import { claimEvent, LeaseLostError, releaseEvent } from '@app/processor/evaluator/event-lease';
import type { Revision } from '@app/processor/evaluator/revision';
import { messageOf } from '@app/runtime/message-of';
import { densify } from '@app/runtime/postgres';
import type { PostgresClient } from '@app/runtime/postgres-client';
import type { Redis } from 'ioredis';
import { failed, Refusal, unavailable, unknownEvent } from '../refusal.ts';

export interface Evaluation extends EvaluatedRace {
  /** Of the results in the tables; undefined after a dry run. */
  readonly revision: Revision | undefined;
}

/**
 * Evaluates an event once, whatever its race status, unless an evaluator holds it. A dry run needs no lease and writes
 * nothing.
 *
 * @throws {Refusal} the event does not exist, or another evaluator holds it or has taken it over
 */
export async function evaluateEvent(
  postgres: PostgresClient,
  eventId: string,
  isDryRun: boolean,
): Promise<Evaluation> {
  const [event] = densify(
    await postgres.run((sql) =>
      sql.unsafe<{ isRunning: boolean | null }[]>(
        `select race_status::text = 'running' as "isRunning" from events where id = $1::uuid`,
        [eventId],
      ),
    ),
  );
  if (!event) throw unknownEvent(eventId);
  if (isDryRun) {
    const race = await computeResults(postgres, eventId, async () => undefined);
    if (!race) throw unknownEvent(eventId);
    return { ...race, revision: undefined };
  }
  // Of its own: the event is taken from nobody, not even from another run of this command.
  const lease = await claimEvent(postgres, eventId, `results:${hostname()}:${process.pid}`);
  if (!lease) throw new Refusal(await describeHolder(postgres, eventId, event.isRunning === true));
  try {
    const race = await evaluateOnce(postgres, lease);
    if (!race) throw unknownEvent(eventId);
    return race;
  } catch (error) {
    if (!(error instanceof LeaseLostError)) throw error;
    throw new Refusal(
      'another evaluator has taken the event over; nothing was written. Run it again',
      failed,
      {
        cause: error,
      },
    );
  } finally {
    // A lease that was lost, or a server that is gone, need no release: it expires.
    await releaseEvent(postgres, lease).catch(() => undefined);
  }
}

/** Tells gateways the revision, with its changes if this command wrote it. @throws {Refusal} Redis refuses */
export async function announceEvaluation(
  redis: Redis,
  eventId: string,
  evaluation: Evaluation,
): Promise<void> {
  const { revision, changes } = evaluation;
  if (revision === undefined || revision.revision === 0) return;
  try {
    await redis.connect();
    await announceResults(redis, eventId, revision, changes);
  } catch (error) {
    throw new Refusal(
      `revision ${revision.revision} is written but not announced: Redis at REDIS_URL refuses it (${messageOf(error)}). Run it again, which announces it`,
      unavailable,
      { cause: error },
    );
  }
}

async function describeHolder(
  postgres: PostgresClient,
  eventId: string,
  isRunning: boolean,
): Promise<string> {
  const [held] = densify(
    await postgres.run((sql) =>
      sql.unsafe<{ holder: string }[]>('select holder from evaluations where event_id = $1::uuid', [eventId]),
    ),
  );
  const holder = held === undefined ? 'another evaluator' : held.holder;
  return isRunning
    ? `the event is running: ${holder} evaluates it, and its results follow by themselves. To compare, use --dry-run`
    : `${holder} still evaluates the event; wait until it has released it, 10 seconds at most after it has ended`;
}
