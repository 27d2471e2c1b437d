import { z } from 'zod';
import { withoutCredentials } from './safe-to-log.ts';
import { readSetting } from './read-setting.ts';
import { commaList, name, oneOf, port, secret, settingMeta, string, urlOf } from './setting.ts';

export {
  byteCount,
  commaList,
  durationMs,
  flag,
  hostPort,
  name,
  oneOf,
  port,
  positiveInt,
  secret,
  settingMeta,
  string as text,
  urlOf,
  wholeNumber,
} from './setting.ts';

/** Everything that is wrong with the environment, a line for each problem; never a secret's value. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78 as const;

  constructor(problems: readonly string[]) {
    super(`the configuration is wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

/** The settings of every service: a shape to spread into its own `z.object`. */
export const commonSettings = {
  NODE_ENV: oneOf(['production', 'development', 'test'])
    .default('production')
    .meta({ description: 'Where the service runs.' }),
  LOG_LEVEL: oneOf(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
    .default('info')
    .meta({ description: 'The least level that is logged.', example: 'info' }),
  INSTANCE_ID: name()
    .optional()
    .meta({ description: 'The name of this replica, stable over restarts.', example: 'processor-1' }),
  REDIS_URL: secret(
    urlOf('redis:', 'rediss:').meta({
      description: 'The Redis that holds the telemetry stream.',
      example: 'redis://localhost:6379',
    }),
  ),
  POSTGRES_URL: secret(
    urlOf('postgres:', 'postgresql:').meta({
      description: 'The Postgres or TimescaleDB that holds the positions.',
      example: 'postgres://tracking@localhost:5432/tracking',
    }),
  ),
  REDIS_TELEMETRY_STREAM: commaList(name({ maxLength: 256 })).meta({
    description:
      'The key of the telemetry stream, or several. No default: producer and services must agree on it.',
    example: 'telemetry:teltonika',
  }),
  METRICS_PORT: port().default(9090).meta({
    description: 'The port of /metrics, /healthz and /readyz; 0 takes a free one.',
    example: '9090',
  }),
  METRICS_HOST: string({ maxLength: 255 })
    .default('127.0.0.1')
    .meta({ description: 'The address that the ops endpoints listen on.', example: '0.0.0.0' }),
  OTEL_EXPORTER_OTLP_ENDPOINT: urlOf('http:', 'https:').optional().meta({
    description:
      'The OpenTelemetry collector that gets traces, by OTLP over HTTP; without it there are none.',
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
      description: 'The share of steps that is traced though no message in it is.',
    }),
};

/**
 * Reads the settings of `schema` (an object with a schema for each variable)
 * from the environment into one frozen value.
 *
 * An empty variable counts as unset. A setting marked with `secret()` may be
 * given as `NAME_FILE`, the path of a file that holds it.
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
    // Why it could not be read says more than that it is missing.
    if (!unreadable.has(setting)) {
      problems.push(describeProblem(issue, setting, schema.shape[setting], values[setting]));
    }
  }
  throw new ConfigError(problems);
}

/** The settings as they may be logged: of a secret only that it is set. */
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
  // A service's own refinement words its problem itself; the pieces leave it to `expected`.
  const hasOwnWords = issue.code === 'custom' && issue.message !== 'Invalid input';
  const rule = hasOwnWords || meta.expected === undefined ? issue.message : `must be ${expected}`;
  const given = meta.secret === true ? '' : ` (it is ${JSON.stringify(withoutCredentials(value))})`;
  return `${setting} ${rule}${given}${example}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}
