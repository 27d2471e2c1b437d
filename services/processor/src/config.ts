import { commaList, commonSettings, durationMs, name, oneOf, positiveInt } from '@app/runtime/config';
import { defaultFutureFlagMs, defaultFutureLimitMs } from '@app/shared/quality';
import { z } from 'zod';

const dayMs = 86_400_000;

/** The processor's environment variables, with description, unit and default. */
export const processorSettings = z.object({
  ...commonSettings,
  INSTANCE_ID: name().default('processor-1').meta({
    description: 'Name of this replica; must stay the same across restarts.',
    example: 'processor-1',
  }),
  REDIS_CONSUMER_GROUP: name()
    .default('processor')
    .meta({ description: 'Consumer group, the same on every stream.' }),
  REDIS_CONSUMER_NAME: name().optional().meta({
    description:
      'Consumer name in the group; unique per replica and the same after a restart. Defaults to INSTANCE_ID.',
  }),
  BATCH_SIZE: positiveInt({ max: 10_000 })
    .default(1000)
    .meta({ description: 'Maximum entries per blocking read (XREADGROUP COUNT).' }),
  BATCH_BLOCK_MS: durationMs({ min: 1, max: 60_000 })
    .default(2000)
    .meta({ description: 'Maximum time a read waits for entries (XREADGROUP BLOCK).' }),
  WRITE_BATCH_SIZE: positiveInt({ max: 20_000 })
    .default(1000)
    .meta({ description: 'Maximum entries per insert.' }),
  WRITE_LINGER_MS: durationMs({ max: 1000 })
    .default(5)
    .meta({ description: 'Maximum time a batch that is not full waits for more entries.' }),
  WRITE_CONCURRENCY: positiveInt({ max: 32 })
    .default(3)
    .meta({ description: 'Maximum concurrent inserts per stream.' }),
  WRITE_TIMEOUT_MS: durationMs({ min: 100, max: 300_000 })
    .default(15_000)
    .meta({ description: 'Deadline of a statement; a missed deadline replaces all Postgres connections.' }),
  CLAIM_IDLE_MS: durationMs({ min: 100 })
    .default(60_000)
    .meta({ description: 'Entries pending at another consumer for longer than this are claimed.' }),
  CLAIM_INTERVAL_MS: durationMs({ min: 100 })
    .default(15_000)
    .meta({ description: 'Interval between searches for entries to claim.' }),
  MAX_DELIVERIES: positiveInt({ max: 1000 }).default(5).meta({
    description:
      'Entries delivered more often than this are quarantined: processed one by one, and dead-lettered after two attempts that the process did not survive.',
  }),
  DLQ_MAX_LENGTH: positiveInt().default(100_000).meta({
    description: 'Maximum length of the dead-letter stream.',
  }),
  DLQ_WHEN_FULL: oneOf(['wait', 'trim']).default('wait').meta({
    description:
      'At DLQ_MAX_LENGTH: `wait` leaves entries to be dead-lettered pending until dead letters are replayed or purged; `trim` deletes the oldest dead letters.',
  }),
  DLQ_ACCEPT_REASONS: commaList(name()).optional().meta({
    description:
      'Reasons of rejection (`dlq_reason`) that are dead-lettered even if most entries are rejected for them; without it the stream stops then.',
    example: 'future_limit',
  }),
  DEVICE_STATE_CAP: positiveInt({ max: 10_000_000 })
    .default(100_000)
    .meta({ description: 'Maximum device states kept in memory, of all streams together.' }),
  FUTURE_FLAG_MS: durationMs().default(defaultFutureFlagMs).meta({
    description: 'A fix whose time is later than its arrival by more than this is flagged `future`.',
  }),
  FUTURE_LIMIT_MS: durationMs().default(defaultFutureLimitMs).meta({
    description:
      'A fix whose time is later than its arrival by more than this is written to the dead-letter stream.',
  }),
  PAST_LIMIT_MS: durationMs({ min: dayMs, max: 36_500 * dayMs })
    .default(400 * dayMs)
    .meta({
      description:
        'A fix whose time is earlier than its arrival by more than this is stored in `positions_past_limit`.',
    }),
  EVALUATE_EVENTS: commaList(name()).default(['all']).meta({
    description:
      'Running events whose results this replica computes: `all`, `none`, or ids. Of several replicas one computes the results of an event.',
    example: 'all',
  }),
  DRAIN_TIMEOUT_MS: durationMs({ max: 600_000 }).default(20_000).meta({
    description: 'Maximum time a shutdown may take to store and acknowledge the entries already read.',
  }),
});

export type ProcessorConfig = Readonly<z.output<typeof processorSettings>>;

/** The consumer name. If it changed on restart, the old consumer's pending entries would wait for CLAIM_IDLE_MS. */
export function consumerName(config: ProcessorConfig): string {
  return config.REDIS_CONSUMER_NAME ?? config.INSTANCE_ID;
}
