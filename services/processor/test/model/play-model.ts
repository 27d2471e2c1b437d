import { startPostgres } from '@app/test-kit/postgres';
import { startOwnRedis, startRedis } from '@app/test-kit/redis';
import { type ModelOptions, type ModelReport, runModel } from './run-model.ts';

/** Plays random runs on the test run's Redis and a database of its own, and on `restarting` servers that are restarted. */
export async function playModel(
  options: Omit<ModelOptions, 'redisUrl' | 'ownRedises' | 'postgresUrl' | 'keyPrefix'> & {
    readonly restarting: number;
  },
): Promise<ModelReport> {
  await using stack = new AsyncDisposableStack();
  const redis = stack.use(await startRedis());
  const database = stack.use(await startPostgres());
  const starting = Array.from({ length: options.restarting }, async () => stack.use(await startOwnRedis()));
  const ownRedises = await Promise.all(starting);
  return await runModel({
    ...options,
    redisUrl: redis.url,
    ownRedises,
    postgresUrl: database.url,
    keyPrefix: redis.keyPrefix,
  });
}
