import { gatewaySettings } from '@app/live-gateway/config';
import { processorSettings } from '@app/processor/config';
import { commonSettings, oneOf } from '@app/runtime/config';
import { z } from 'zod';

const { REDIS_URL, POSTGRES_URL, REDIS_TELEMETRY_STREAM } = commonSettings;
const { REDIS_CONSUMER_GROUP, DLQ_MAX_LENGTH } = processorSettings.shape;
const { DIRECTUS_BASE_URL, DIRECTUS_SESSION_COOKIE, LIVE_ALLOWED_ORIGINS, LIVE_ANONYMOUS_PER_ADDRESS } =
  gatewaySettings.shape;

/** The services' own settings; the URLs with logins of an operator, who may read more than a service. */
export const doctorSettings = z.object({
  REDIS_URL,
  POSTGRES_URL,
  REDIS_TELEMETRY_STREAM,
  REDIS_CONSUMER_GROUP,
  DLQ_MAX_LENGTH,
  DIRECTUS_BASE_URL,
  DIRECTUS_SESSION_COOKIE,
  // Without the gateway's defaults: one that is not set here may be set there.
  LIVE_ALLOWED_ORIGINS: LIVE_ALLOWED_ORIGINS.optional(),
  LIVE_ANONYMOUS_PER_ADDRESS: LIVE_ANONYMOUS_PER_ADDRESS.unwrap().optional(),
  LIVE_BEARER_TOKENS: oneOf(['on', 'off']).optional(),
});

export type DoctorConfig = Readonly<z.output<typeof doctorSettings>>;
