import { processorSettings } from '@app/processor/config';
import { commonSettings, ConfigError, readConfig } from '@app/runtime/config';
import { runTool } from '@app/runtime/run-tool';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { printable } from './printable.ts';
import { type DlqArguments, readArguments, usage } from './read-arguments.ts';
import { failed, Refusal, unavailable } from './refusal.ts';
import { type Report, runDlq } from './run-dlq.ts';

const { REDIS_URL, REDIS_TELEMETRY_STREAM } = commonSettings;
const { FUTURE_LIMIT_MS } = processorSettings.shape;
const settings = z.object({ REDIS_URL, REDIS_TELEMETRY_STREAM, FUTURE_LIMIT_MS });
const redisTimeoutMs = 10_000;

// A reader that closes the pipe (`| head`) is not an error.
process.stdout.on('error', () => undefined);
process.exitCode = await runTool({
  name: 'dlq',
  usage,
  read: () => readArguments(process.argv.slice(2)),
  run: main,
});

async function main(args: DlqArguments): Promise<number> {
  try {
    const { stream } = args;
    const config = readConfig(settings, {
      ...process.env,
      ...(stream !== undefined && { REDIS_TELEMETRY_STREAM: stream }),
    });
    const stop = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
    const streams = [...new Set(config.REDIS_TELEMETRY_STREAM)];
    const input = { ...args, futureLimitMs: config.FUTURE_LIMIT_MS };
    const report = await withRedis(config.REDIS_URL, (redis) => runDlq(redis, streams, input, stop.signal));
    const output = args.isJson ? JSON.stringify(report.json, null, 2) : report.text;
    if (output !== '') console.log(output);
    printProblems(report.problems);
    return report.exitCode;
  } catch (error) {
    if (error instanceof Refusal) {
      printProblems(error.message.split('\n'));
      return error.exitCode;
    }
    if (!(error instanceof ConfigError)) throw error;
    printProblems([error.message]);
    return error.exitCode;
  }
}

/** Connects without retries: the operator should learn at once that Redis is not reachable. */
async function withRedis(url: string, act: (redis: Redis) => Promise<Report>): Promise<Report> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: 'dlq',
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: redisTimeoutMs,
    commandTimeout: redisTimeoutMs,
  });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  try {
    await redis.connect();
    return await act(redis);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const problem = lastError ?? error;
    // Redis answered with an error, such as wrong credentials, missing rights or no memory.
    if (problem instanceof Error && problem.name === 'ReplyError') {
      throw new Refusal(`Redis refused a command: ${describe(problem)}`, failed, { cause: error });
    }
    throw new Refusal(
      `Redis at REDIS_URL does not answer: ${describe(problem)}. An interrupted replay or purge can be run again`,
      unavailable,
      { cause: error },
    );
  } finally {
    redis.disconnect();
  }
}

function describe(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(describe).join(', ');
  return printable(error instanceof Error ? error.message : String(error));
}

function printProblems(problems: readonly string[]): void {
  for (const problem of problems) console.error(`dlq: ${problem}`);
}
