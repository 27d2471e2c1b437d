import { z } from 'zod';
import { withoutCredentials } from './safe-to-log.ts';
import { readPostgresUrl } from './postgres-url.ts';
import { readSetting } from './read-setting.ts';
import { commaList, name, oneOf, port, secret, settingMeta, string, urlOf } from './setting.ts';

export {
  byteCount,
  commaList,
  durationMs,
  name,
  oneOf,
  port,
  positiveInt,
  secret,
  settingMeta,
  string,
  urlOf,
  wholeNumber,
} from './setting.ts';

/** All problems of the configuration, one line each; never contains a secret's value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78 as const;

  constructor(problems: readonly string[]) {
    super(`invalid configuration:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** Settings of every service, to spread into its own `z.object`. */
export const commonSettings = {
  NODE_ENV: oneOf(['production', 'development', 'test'])
    .default('production')
    .meta({ description: 'Environment in which the service runs.' }),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
    .default('info')
    .meta({ description: 'Minimum level of log lines.', example: 'info' }),
  INSTANCE_ID: name()
    .optional()
    .meta({ description: 'Name of this replica; must be stable across restarts.', example: 'processor-1' }),
  REDIS_URL: secret(
    urlOf('redis:', 'rediss:').meta({
      description: 'URL of the Redis with the telemetry streams.',
      example: 'redis://localhost:6379',
    }),
  ),
  POSTGRES_URL: secret(
    z
      .string()
      .superRefine((value, context) => {
        const target = readPostgresUrl(value);
        if ('problem' in target) context.addIssue({ code: 'custom', message: target.problem });
      })
      .meta({
        expected: 'a URL that starts with postgres:// or postgresql://',
        description:
          'URL of the Postgres or TimescaleDB with the positions; its parameters are in the [runbook](operations.md#connections-to-postgres).',
        example: 'postgres://tracking@localhost:5432/tracking',
      }),
  ),
  REDIS_TELEMETRY_STREAM: commaList(name({ maxLength: 256 })).meta({
    description: 'Keys of the telemetry streams. No default, because they must match those of the producer.',
    example: 'telemetry:teltonika',
  }),
  METRICS_PORT: port().default(9090).meta({
    description: 'Port of /metrics, /healthz and /readyz; 0 picks a free one.',
    example: '9090',
  }),
  METRICS_HOST: string({ maxLength: 255 })
    .default('127.0.0.1')
    .meta({ description: 'Address on which /metrics, /healthz and /readyz listen.', example: '0.0.0.0' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlOf('http:', 'https:').optional().meta({
    description: 'URL of the OpenTelemetry collector (OTLP over HTTP); tracing is off if unset.',
    example: 'http://localhost:4318',
  }),
  TRACE_SAMPLE_RATIO: z
    .string()
    .regex(/^(?:0|1|0?\.\d{1,6})$/u)
    .transform(Number)
    .default(0.01)
    .meta({
      expected: 'a number from 0 to 1',
      example: '0.01',
      description: 'Fraction of spans recorded; spans linked to a sampled trace are always recorded.',
    }),
};

/**
 * Reads the settings of `schema`, an object with one schema per variable, from the environment into a frozen object.
 *
 * An empty variable counts as unset. A setting marked with `secret()` may be given as `NAME_FILE`, the path of a file
 * that contains it.
 *
 * @throws {ConfigError} with all problems at once.
 */
export function readConfig<S extends z.ZodObject>(schema: S, env: NodeJS.ProcessEnv): Readonly<z.output<S>> {
  const values: Record<string, string> = {};
  const problems: string[] = [];
  const unreadable = new Set<string>();
  for (const [setting, settingSchema] of Object.entries(schema.shape)) {
    const value = readSetting(setting, settingMeta(settingSchema).secret === true, env);
    if (typeof value === 'string') {
      values[setting] = value;
    } else if (value !== undefined) {
      problems.push(`${setting} ${value.problem}`);
      unreadable.add(setting);
    }
  }
  const parsed = schema.safeParse(values);
  if (parsed.success && problems.length === 0) {
    return deepFreeze(parsed.data);
  }
  for (const issue of parsed.error?.issues ?? []) {
    const setting = String(issue.path[0] ?? '');
    // Already reported; "is not set" would mislead.
    if (!unreadable.has(setting)) {
      problems.push(describeProblem(issue, setting, schema.shape[setting], values[setting]));
    }
  }
  throw new ConfigError(problems);
}

/** The settings for the log; a secret's value is replaced by `[set]`. */
export function publicSettings(
  schema: z.ZodObject,
  config: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([setting, value]) => {
      const settingSchema = schema.shape[setting];
      const isSecret = settingSchema !== undefined && settingMeta(settingSchema).secret === true;
      return [setting, isSecret ? '[set]' : value];
    }),
  );
}

function describeProblem(
  issue: z.core.$ZodIssue,
  setting: string,
  settingSchema: z.core.$ZodType | undefined,
  value: string | undefined,
): string {
  if (settingSchema === undefined) {
    return issue.message;
  }
  const meta = settingMeta(settingSchema);
  const example = meta.example === undefined ? '' : `, for example ${setting}=${meta.example}`;
  const expected = meta.expected ?? 'a value';
  if (value === undefined) {
    return `${setting} is not set; set it to ${expected}${example}`;
  }
  // A service's own refinement has its own message; those in setting.ts leave it to `expected`.
  const hasOwnMessage = issue.code === 'custom' && issue.message !== 'Invalid input';
  const rule = hasOwnMessage || meta.expected === undefined ? issue.message : `must be ${expected}`;
  const actual = meta.secret === true ? '' : ` (it is ${JSON.stringify(withoutCredentials(value))})`;
  return `${setting} ${rule}${actual}${example}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
