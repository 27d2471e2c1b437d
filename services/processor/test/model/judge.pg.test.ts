import { startPostgres } from '@app/test-kit/postgres';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterAll, expect, test } from 'vitest';
import type { Draft } from './ledger.ts';
import { type RunReport, runPlan } from './run-plan.ts';
import type { PacedStep, Step } from './steps.ts';

// The judge must accuse nobody of what is right. Here is played step by step what chance brings about now and then.
const servers = await startRedis();
const database = await startPostgres();
const redis = new Redis(servers.url);
const sql = postgres(database.url, { onnotice: () => undefined });

afterAll(async () => {
  redis.disconnect();
  await sql.end();
  await database[Symbol.asyncDispose]();
  await servers[Symbol.asyncDispose]();
});

/** Plays steps one after the other, each once all is quiet after the one before. */
async function play(run: string, steps: readonly Step[], hasSecondConsumer = false): Promise<RunReport> {
  return await runPlan(
    {
      setup: {
        readCount: 3,
        batchSize: 3,
        concurrency: 1,
        lingerMs: 0,
        maxDeliveries: 1,
        hasSecondConsumer,
        beginsRunning: true,
      },
      steps: steps.map((step): PacedStep => ({ step, calls: 1000 })),
    },
    {
      redisUrl: servers.url,
      redis,
      sql,
      keyPrefix: servers.keyPrefix,
      run,
      stillLimitMs: 10_000,
      restartRedis: undefined,
    },
  );
}

function add(kind: Draft['kind'], second: number): Step {
  return { do: 'add', drafts: [{ kind, device: 0, second, variant: 0 }] };
}

test('what is read late because the group was made again is heard late, and rightly so', async () => {
  const { accusations } = await play('late', [
    add('fix', 1),
    { do: 'stop', who: 0 },
    { do: 'start', who: 0 },
    // The second life reads the second entry, which goes with the group, and only then the first one.
    add('fix', 2),
    { do: 'delete', nth: 0 },
    { do: 'lose group' },
  ]);
  expect(accusations).toEqual([]);
});
