import { ConfigError, readConfig } from '@app/runtime/config';
import { expect, test } from 'vitest';
import { consumerName, processorSettings } from '../src/config.ts';

const required = {
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

test('three settings are required; all others have their documented defaults', () => {
  const { REDIS_URL: _redis, POSTGRES_URL: _postgres, ...config } = readConfig(processorSettings, required);
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
    DLQ_WHEN_FULL: 'wait',
    DEVICE_STATE_CAP: 100_000,
    FUTURE_FLAG_MS: 120_000,
    FUTURE_LIMIT_MS: 86_400_000,
    PAST_LIMIT_MS: 34_560_000_000,
    EVALUATE_EVENTS: ['all'],
    DRAIN_TIMEOUT_MS: 20_000,
    TRACE_SAMPLE_RATIO: 0.01,
  });
});

function consumerNameFor(env: Record<string, string>): string {
  return consumerName(readConfig(processorSettings, { ...required, ...env }));
}

test('the stream has no default', () => {
  const { REDIS_TELEMETRY_STREAM: _stream, ...rest } = required;
  expect(problemsOf(rest)).toEqual([expect.stringMatching(/^REDIS_TELEMETRY_STREAM is not set/u)]);
});

test('the stream setting accepts a list', () => {
  const config = readConfig(processorSettings, {
    ...required,
    REDIS_TELEMETRY_STREAM: 'telemetry:teltonika:{00}, telemetry:teltonika:{01}',
  });
  expect(config.REDIS_TELEMETRY_STREAM).toEqual(['telemetry:teltonika:{00}', 'telemetry:teltonika:{01}']);
});

test('the consumer name defaults to the instance id', () => {
  expect(consumerNameFor({})).toBe('processor-1');
  expect(consumerNameFor({ INSTANCE_ID: 'processor-7' })).toBe('processor-7');
  expect(consumerNameFor({ INSTANCE_ID: 'processor-7', REDIS_CONSUMER_NAME: '' })).toBe('processor-7');
  expect(consumerNameFor({ INSTANCE_ID: 'processor-7', REDIS_CONSUMER_NAME: 'c' })).toBe('c');
});

test('all invalid settings are reported together', () => {
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
