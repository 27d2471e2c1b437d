import { commonSettings, ConfigError, readConfig } from '@app/runtime/config';
import { runTool } from '@app/runtime/run-tool';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { printable } from './printable.ts';
import { type DlqArguments, readArguments, usage } from './read-arguments.ts';
import { failed, Refusal, unavailable } from './refusal.ts';
import { type Report, runDlq } from './run-dlq.ts';

const { REDIS_URL, REDIS_TELEMETRY_STREAM } = commonSettings;
const settings = z.object({ REDIS_URL, REDIS_TELEMETRY_STREAM });
const answerLimitMs = 10_000;

// A reader that has seen enough (`| head`) is no error.
process.stdout.on('error', () => undefined);
process.exitCode = await runTool({
  name: 'dlq',
  usage,
  read: () => readArguments(process.argv.slice(2)),
  run: main,
});

async function main(asked: DlqArguments): Promise<number> {
  try {
    const { stream } = asked;
    const config = readConfig(settings, {
      ...process.env,
      ...(stream !== undefined && { REDIS_TELEMETRY_STREAM: stream }),
    });
    const stop = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
    const streams = [...new Set(config.REDIS_TELEMETRY_STREAM)];
    const report = await onRedis(config.REDIS_URL, (redis) => runDlq(redis, streams, asked, stop.signal));
    const output = asked.isJson ? JSON.stringify(report.json, null, 2) : report.text;
    if (output !== '') console.log(output);
    complain(report.problems);
    return report.exitCode;
  } catch (error) {
    if (error instanceof Refusal) {
      complain(error.message.split('\n'));
      return error.exitCode;
    }
    if (!(error instanceof ConfigError)) throw error;
    complain([error.message]);
    return error.exitCode;
  }
}

/** An operator is told that Redis is not there; nobody waits for it here. */
async function onRedis(url: string, act: (redis: Redis) => Promise<Report>): Promise<Report> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectionName: 'dlq',
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: answerLimitMs,
    commandTimeout: answerLimitMs,
  });
  let lastError: Error | undefined;
  redis.on('error', (error) => (lastError = error));
  try {
    await redis.connect();
    return await act(redis);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const problem = lastError ?? error;
    // An answer that says no: to the credentials, the rights, a write without memory.
    if (problem instanceof Error && problem.name === 'ReplyError') {
      throw new Refusal(`Redis says no: ${describe(problem)}`, failed, { cause: error });
    }
    throw new Refusal(
      `Redis at REDIS_URL does not answer: ${describe(problem)}. A replay or purge that was under way may be begun again: what was done is not done twice`,
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

function complain(problems: readonly string[]): void {
  for (const problem of problems) console.error(`dlq: ${problem}`);
}
