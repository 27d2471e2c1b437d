import { ConfigError, readConfig } from '@app/runtime/config';
import { expect, test } from 'vitest';
import { consumerName, processorSettings } from '../src/config.ts';

const least = {
  REDIS_URL: 'redis://localhost:6379',
  POSTGRES_URL: 'postgres://tracking@localhost/tracking',
  REDIS_TELEMETRY_STREAM: 'telemetry:teltonika',
};

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    readConfig(processorSettings, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('three settings are enough; all others have the documented defaults', () => {
  const { REDIS_URL: _redis, POSTGRES_URL: _postgres, ...config } = readConfig(processorSettings, least);
  expect(config).toEqual({
    NODE_ENV: 'production',
    LOG_LEVEL: 'info',
    INSTANCE_ID: 'processor-1',
    REDIS_TELEMETRY_STREAM: ['telemetry:teltonika'],
    REDIS_CONSUMER_GROUP: 'processor',
    METRICS_PORT: 9090,
    METRICS_HOST: '127.0.0.1',
    BATCH_SIZE: 1000,
    BATCH_BLOCK_MS: 2000,
    WRITE_BATCH_SIZE: 1000,
    WRITE_LINGER_MS: 5,
    WRITE_CONCURRENCY: 3,
    WRITE_TIMEOUT_MS: 15_000,
    CLAIM_IDLE_MS: 60_000,
    CLAIM_INTERVAL_MS: 15_000,
    MAX_DELIVERIES: 5,
    DLQ_MAX_LENGTH: 100_000,
    DEVICE_STATE_CAP: 100_000,
    FUTURE_FLAG_MS: 120_000,
    FUTURE_LIMIT_MS: 86_400_000,
    DRAIN_TIMEOUT_MS: 20_000,
    TRACE_SAMPLE_RATIO: 0.01,
  });
});

function named(env: Record<string, string>): string {
  return consumerName(readConfig(processorSettings, { ...least, ...env }));
}

test('there is no default stream: a processor that reads another key than the producer writes is silent', () => {
  const { REDIS_TELEMETRY_STREAM: _stream, ...rest } = least;
  expect(problemsOf(rest)).toEqual([expect.stringMatching(/^REDIS_TELEMETRY_STREAM is not set/u)]);
});

test('the stream may be a list', () => {
  const config = readConfig(processorSettings, {
    ...least,
    REDIS_TELEMETRY_STREAM: 'telemetry:teltonika:{00}, telemetry:teltonika:{01}',
  });
  expect(config.REDIS_TELEMETRY_STREAM).toEqual(['telemetry:teltonika:{00}', 'telemetry:teltonika:{01}']);
});

test('the consumer is named after the instance unless it has a name of its own', () => {
  expect(named({})).toBe('processor-1');
  expect(named({ INSTANCE_ID: 'processor-7' })).toBe('processor-7');
  expect(named({ INSTANCE_ID: 'processor-7', REDIS_CONSUMER_NAME: '' })).toBe('processor-7');
  expect(named({ INSTANCE_ID: 'processor-7', REDIS_CONSUMER_NAME: 'c' })).toBe('c');
});

test('all that is wrong is said at once', () => {
  const problems = problemsOf({
    BATCH_SIZE: '0',
    WRITE_CONCURRENCY: '33',
    CLAIM_IDLE_MS: '1s',
    WRITE_TIMEOUT_MS: '99',
    REDIS_URL: 'http://localhost',
  });
  expect(new Set(problems.map((problem) => problem.split(' ')[0]))).toEqual(
    new Set([
      'BATCH_SIZE',
      'CLAIM_IDLE_MS',
      'POSTGRES_URL',
      'REDIS_TELEMETRY_STREAM',
      'REDIS_URL',
      'WRITE_CONCURRENCY',
      'WRITE_TIMEOUT_MS',
    ]),
  );
});
