import { commonSettings, secret, string } from '@app/runtime/config';
import { z } from 'zod';

/** Environment variables of the migration job. */
export const migrateSettings = z.object({
  POSTGRES_URL: commonSettings.POSTGRES_URL,
  PROCESSOR_PASSWORD: secret(string({ maxLength: 128 }))
    .optional()
    .meta({
      description: 'Password of the login role `processor`, which is created or updated.',
    }),
  GATEWAY_PASSWORD: secret(string({ maxLength: 128 }))
    .optional()
    .meta({
      description: 'Password of the login role `live_gateway`, which is created or updated.',
    }),
  PRUNER_PASSWORD: secret(string({ maxLength: 128 }))
    .optional()
    .meta({
      description: 'Password of the login role `pruner` of the prune job, which is created or updated.',
    }),
});
