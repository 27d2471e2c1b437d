import { commonSettings, positiveInt } from '@app/runtime/config';
import { z } from 'zod';

/** Environment variables of the prune job. */
export const pruneSettings = z.object({
  POSTGRES_URL: commonSettings.POSTGRES_URL,
  PRUNE_KEEP_DAYS: positiveInt({ max: 36_500 }).meta({
    description:
      'Days that positions are kept; older ones are deleted. In `positions_past_limit` they count from when a row was stored.',
    example: '180',
  }),
  PRUNE_MAX_MINUTES: positiveInt({ max: 1_440 }).default(30).meta({
    description: 'Minutes after which the job ends; the next run continues.',
  }),
});
