import { commonSettings, secret, text } from '@app/runtime/config';
import { z } from 'zod';

/** Every environment variable of the migration job. */
export const migrateSettings = z.object({
  POSTGRES_URL: commonSettings.POSTGRES_URL,
  PROCESSOR_PASSWORD: secret(text({ maxLength: 128 }))
    .optional()
    .meta({
      description: 'Makes the role processor, which may log in with this password, or changes its password.',
    }),
  GATEWAY_PASSWORD: secret(text({ maxLength: 128 }))
    .optional()
    .meta({
      description:
        'Makes the role live_gateway, which may log in with this password, or changes its password.',
    }),
});
