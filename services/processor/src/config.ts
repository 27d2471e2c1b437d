import { commonSettings, durationMs, name, positiveInt } from '@app/runtime/config';
import { defaultFutureFlagMs, defaultFutureLimitMs } from '@app/shared/quality';
import { z } from 'zod';

/** Every environment variable of the processor, with its meaning, unit and default. */
export const processorSettings = z.object({
  ...commonSettings,
  INSTANCE_ID: name().default('processor-1').meta({
    description: 'The name of this replica, stable over restarts.',
    example: 'processor-1',
  }),
  REDIS_CONSUMER_GROUP: name()
    .default('processor')
    .meta({ description: 'The consumer group on each stream.' }),
  REDIS_CONSUMER_NAME: name().optional().meta({
    description:
      'The consumer in the group, one for each replica and the same after a restart; INSTANCE_ID unless set.',
  }),
  BATCH_SIZE: positiveInt({ max: 10_000 })
    .default(1000)
    .meta({ description: 'Entries asked for in one blocking read (COUNT).' }),
  BATCH_BLOCK_MS: durationMs({ min: 1, max: 60_000 })
    .default(2000)
    .meta({ description: 'How long a read waits for entries (BLOCK).' }),
  WRITE_BATCH_SIZE: positiveInt({ max: 20_000 })
    .default(1000)
    .meta({ description: 'Entries gathered into one insert at the most.' }),
  WRITE_LINGER_MS: durationMs({ max: 1000 })
    .default(5)
    .meta({ description: 'How long a batch that is not full waits for more entries.' }),
  WRITE_CONCURRENCY: positiveInt({ max: 32 })
    .default(3)
    .meta({ description: 'Inserts in flight for each stream.' }),
  WRITE_TIMEOUT_MS: durationMs({ min: 100, max: 300_000 })
    .default(15_000)
    .meta({ description: 'The deadline of an insert; when it is missed the connections are replaced.' }),
  CLAIM_IDLE_MS: durationMs({ min: 100 })
    .default(60_000)
    .meta({ description: 'Entries pending at another consumer for longer than this are taken over.' }),
  CLAIM_INTERVAL_MS: durationMs({ min: 100 })
    .default(15_000)
    .meta({ description: 'How often to look for such entries.' }),
  MAX_DELIVERIES: positiveInt({ max: 1000 }).default(5).meta({
    description:
      'Entries delivered more often than this are tried apart from the others, and alone once the process has died with them.',
  }),
  DLQ_MAX_LENGTH: positiveInt()
    .default(100_000)
    .meta({ description: 'The length to which the dead-letter stream is trimmed, approximately.' }),
  DEVICE_STATE_CAP: positiveInt({ max: 10_000_000 })
    .default(100_000)
    .meta({ description: 'Devices whose state is kept in memory.' }),
  FUTURE_FLAG_MS: durationMs()
    .default(defaultFutureFlagMs)
    .meta({ description: 'A fix further ahead of its arrival than this is flagged `future`.' }),
  FUTURE_LIMIT_MS: durationMs()
    .default(defaultFutureLimitMs)
    .meta({ description: 'A fix further ahead of its arrival than this goes to the dead letters.' }),
  DRAIN_TIMEOUT_MS: durationMs({ max: 600_000 })
    .default(20_000)
    .meta({ description: 'How long a stop may take to store and acknowledge what is in hand.' }),
});

export type ProcessorConfig = Readonly<z.output<typeof processorSettings>>;

/** The consumer's name: another one after a restart would leave its pending entries to be claimed. */
export function consumerName(config: ProcessorConfig): string {
  return config.REDIS_CONSUMER_NAME ?? config.INSTANCE_ID;
}
