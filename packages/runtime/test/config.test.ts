import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { commonSettings, ConfigError, publicSettings, readConfig } from '../src/config.ts';
import { durationMs, positiveInt, secret, settingMeta, string } from '../src/setting.ts';

const common = z.object(commonSettings);
const enough = {
  REDIS_URL: 'redis://redis:6379',
  POSTGRES_URL: 'postgres://app:hunter2@db:5432/tracking',
  REDIS_TELEMETRY_STREAM: 'telemetry:teltonika',
};

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function fileWith(content: string): Promise<string> {
  const path = join(folder, crypto.randomUUID());
  await writeFile(path, content);
  return path;
}

function problemsOf(schema: z.ZodObject, env: NodeJS.ProcessEnv): readonly string[] {
  try {
    readConfig(schema, env);
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}

describe('the common settings', () => {
  test('require both URLs and the stream; the others have defaults', () => {
    expect(readConfig(common, enough)).toEqual({
      NODE_ENV: 'production',
      LOG_LEVEL: 'info',
      REDIS_URL: 'redis://redis:6379',
      POSTGRES_URL: 'postgres://app:hunter2@db:5432/tracking',
      REDIS_TELEMETRY_STREAM: ['telemetry:teltonika'],
      METRICS_PORT: 9090,
      METRICS_HOST: '127.0.0.1',
      TRACE_SAMPLE_RATIO: 0.01,
    });
  });

  test('have a description, an example and an expected value', () => {
    const metadata = Object.values(commonSettings).map((setting) => settingMeta(setting));
    expect(metadata).toEqual(
      metadata.map(() =>
        expect.objectContaining({
          description: expect.any(String),
          example: expect.any(String),
          expected: expect.any(String),
        }),
      ),
    );
    expect(
      Object.entries(commonSettings).flatMap(([name, setting]) =>
        settingMeta(setting).secret ? [name] : [],
      ),
    ).toEqual(['REDIS_URL', 'POSTGRES_URL']);
  });

  test('parse several streams into a list', () => {
    const { REDIS_TELEMETRY_STREAM: streams } = readConfig(common, {
      ...enough,
      REDIS_TELEMETRY_STREAM: 'telemetry:teltonika, telemetry:{01}',
    });
    expect(streams).toEqual(['telemetry:teltonika', 'telemetry:{01}']);
  });

  test.each(['telemetry:a,', ',telemetry:a', 'telemetry:a,telemetry:a', 'tele metry', ','])(
    'reject «%s» as a list of streams',
    (streams) => {
      expect(problemsOf(common, { ...enough, REDIS_TELEMETRY_STREAM: streams })).toHaveLength(1);
    },
  );

  test.each([
    ['REDIS_URL', 'http://redis'],
    ['POSTGRES_URL', 'db:5432'],
    ['METRICS_PORT', '65536'],
    ['METRICS_PORT', '90.5'],
    ['LOG_LEVEL', 'loud'],
    ['INSTANCE_ID', 'processor 1'],
  ])('reject %s=%s', (name, value) => {
    expect(problemsOf(common, { ...enough, [name]: value })).toEqual([
      expect.stringContaining(`${name} must be`),
    ]);
  });
});

describe('readConfig', () => {
  test('reports all problems at once, each with an example', () => {
    expect(
      problemsOf(common, {
        LOG_LEVEL: 'loud',
        METRICS_PORT: '-1',
        REDIS_URL: 'amqp://app:hunter2@mq',
        POSTGRES_URL_FILE: '/nowhere',
      }),
    ).toEqual([
      'POSTGRES_URL cannot be read from /nowhere, set by POSTGRES_URL_FILE (ENOENT); check the path and its permissions',
      'LOG_LEVEL must be one of fatal, error, warn, info, debug, trace (it is "loud"), for example LOG_LEVEL=info',
      'REDIS_URL must be a URL that starts with redis:// or rediss://, for example REDIS_URL=redis://localhost:6379',
      expect.stringMatching(
        /^REDIS_TELEMETRY_STREAM is not set; set it to .*, for example REDIS_TELEMETRY_STREAM=telemetry:teltonika$/u,
      ),
      'METRICS_PORT must be a whole number, from 0 to 65535 (it is "-1"), for example METRICS_PORT=9090',
    ]);
  });

  test('ConfigError has an exit code and every problem in its message', () => {
    const error = new ConfigError(['A is not set', 'B is not set']);
    expect(error.exitCode).toBe(78);
    expect(error.message).toBe('invalid configuration:\n  A is not set\n  B is not set');
  });

  test('treats an empty variable as unset', () => {
    expect(readConfig(common, { ...enough, METRICS_PORT: '', INSTANCE_ID: ' ' })).toMatchObject({
      METRICS_PORT: 9090,
    });
    expect(problemsOf(common, { ...enough, REDIS_URL: '' })).toEqual([
      expect.stringContaining('REDIS_URL is not set'),
    ]);
  });

  test('returns a deeply frozen object', () => {
    const config = readConfig(common, enough);
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.REDIS_TELEMETRY_STREAM)).toBe(true);
  });

  test('ignores variables that are not in the schema', () => {
    expect(readConfig(z.object({ A: string() }), { A: 'x', B: 'y' })).toEqual({ A: 'x' });
  });

  test("reports the message of a service's own rule", () => {
    const schema = z
      .object({
        BLOCK_MS: durationMs().refine((ms) => ms !== 0, 'must not be 0, which blocks forever'),
        MIN: positiveInt(),
        MAX: positiveInt(),
      })
      .refine(({ MIN, MAX }) => MIN <= MAX, 'MIN must not be greater than MAX');
    expect(problemsOf(schema, { BLOCK_MS: '0', MIN: '1', MAX: '2' })).toEqual([
      'BLOCK_MS must not be 0, which blocks forever (it is "0")',
    ]);
    expect(problemsOf(schema, { BLOCK_MS: '1', MIN: '3', MAX: '2' })).toEqual([
      'MIN must not be greater than MAX',
    ]);
  });
});

describe('a secret', () => {
  test('may be read from a file, without its last line breaks', async () => {
    const { REDIS_URL: _, ...others } = enough;
    const config = readConfig(common, {
      ...others,
      REDIS_URL_FILE: await fileWith('redis://:hunter2@redis\r\n\n'),
    });
    expect(config.REDIS_URL).toBe('redis://:hunter2@redis');
  });

  test('is rejected if set twice, and from a file that is missing, empty or a folder', async () => {
    const { REDIS_URL: _, ...others } = enough;
    const empty = await fileWith('\n');
    expect(problemsOf(common, { ...enough, REDIS_URL_FILE: '/run/secrets/redis' })).toEqual([
      'REDIS_URL is set twice, directly and by REDIS_URL_FILE; remove one',
    ]);
    expect(problemsOf(common, { ...others, REDIS_URL_FILE: '/nowhere' })).toEqual([
      expect.stringContaining('ENOENT'),
    ]);
    expect(problemsOf(common, { ...others, REDIS_URL_FILE: 'missing' })).toEqual([
      `REDIS_URL cannot be read from ${resolve('missing')}, set by REDIS_URL_FILE (ENOENT); check the path and its permissions`,
    ]);
    expect(problemsOf(common, { ...others, REDIS_URL_FILE: folder })).toEqual([
      expect.stringContaining('EISDIR'),
    ]);
    expect(problemsOf(common, { ...others, REDIS_URL_FILE: empty })).toEqual([
      `REDIS_URL is empty in ${empty}, set by REDIS_URL_FILE; write the value into that file`,
    ]);
  });

  test('can be marked by a service, inside or outside other wrappers', async () => {
    const schema = z.object({
      KEY: secret(string()).optional(),
      SALT: secret(string().default('s')),
      NAME: string().default('n'),
    });
    const path = await fileWith('hunter2');
    expect(readConfig(schema, { KEY_FILE: path, SALT_FILE: path, NAME_FILE: path })).toEqual({
      KEY: 'hunter2',
      SALT: 'hunter2',
      NAME: 'n',
    });
  });

  test('never appears in a problem', () => {
    const schema = z.object({
      A: secret(positiveInt()),
      B: secret(durationMs().refine((ms) => ms > 5, 'is too short')),
      C: commonSettings.REDIS_URL,
      D: commonSettings.REDIS_TELEMETRY_STREAM,
    });
    const value = fc.string({ minLength: 8 }).map((random) => `hunter2${random}`);
    fc.assert(
      fc.property(value, (hidden) => {
        const problems = problemsOf(schema, { A: hidden, B: hidden, C: hidden, D: 'x' }).join('\n');
        expect(problems).toContain('C must be');
        expect(problems).not.toContain('hunter2');
      }),
    );
  });

  test('a password in a URL is redacted in a problem of any setting', () => {
    const schema = z.object({ BASE_URL: z.string().startsWith('https:') });
    const [problem] = problemsOf(schema, { BASE_URL: 'http://app:hunter2@directus' });
    expect(problem).toContain('http://[redacted]@directus');
  });

  test('is logged as [set]', () => {
    expect(publicSettings(common, readConfig(common, enough))).toMatchObject({
      REDIS_URL: '[set]',
      POSTGRES_URL: '[set]',
      METRICS_PORT: 9090,
    });
  });
});
