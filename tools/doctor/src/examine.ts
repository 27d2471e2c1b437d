import { messageOf } from '@app/runtime/message-of';
import { checkClocks } from './check-clocks.ts';
import { directusChecks } from './check-directus.ts';
import { checkPostgresRights } from './check-postgres-rights.ts';
import { checkPostgres } from './check-postgres.ts';
import { checkRedisRights } from './check-redis-rights.ts';
import { checkRedis } from './check-redis.ts';
import { checkStream } from './check-streams.ts';
import { openPostgres, openRedis } from './connect.ts';
import { explainRefusal, type Visitor } from './explain-refusal.ts';
import { type Checks, failed, type Finding, type Group, ok, runChecks } from './finding.ts';
import type { DoctorConfig } from './settings.ts';

export interface WatchRequest {
  readonly eventId: string;
  readonly origin: string | undefined;
  readonly visitor: Visitor;
}

/** Runs all checks, one after the other, and those of one request to watch an event. */
export async function examine(config: DoctorConfig, request?: WatchRequest): Promise<readonly Group[]> {
  const { DIRECTUS_BASE_URL: directusUrl, REDIS_TELEMETRY_STREAM: streams } = config;
  using redisConnection = openRedis(config.REDIS_URL);
  const { redis } = redisConnection;
  await using postgres = openPostgres(config.POSTGRES_URL);
  const { read } = postgres;
  const redisAnswer = await reach('REDIS_URL', () => redisConnection.connect());
  const postgresAnswer = await reach('POSTGRES_URL', () => read((sql) => sql`select 1`));
  const readable = postgresAnswer.level === 'ok' ? read : undefined;
  const groups = [
    await runChecks(
      'Redis',
      ifReached(redisAnswer, {
        server: () => checkRedis(redis),
        users: () => checkRedisRights(redis, streams),
        ...Object.fromEntries(
          streams.map((stream) => [
            stream,
            () =>
              checkStream(redis, {
                stream,
                group: config.REDIS_CONSUMER_GROUP,
                maxDeadLetters: config.DLQ_MAX_LENGTH,
              }),
          ]),
        ),
      }),
    ),
    await runChecks(
      'Postgres',
      ifReached(postgresAnswer, {
        server: () => checkPostgres(read),
        roles: () => checkPostgresRights(read),
      }),
    ),
    await runChecks('Directus', directusChecks(directusUrl, readable)),
    await runChecks('Clocks', { clocks: () => checkClocks({ redis, read, directusUrl }) }),
  ];
  if (request === undefined) return groups;
  const title = `Event ${request.eventId}`;
  return [...groups, await runChecks(title, { event: () => explainRefusal(config, readable, request) })];
}

/** Checks of a server, which are left out if it does not answer. */
function ifReached(answer: Finding, checks: Checks): Checks {
  return { reachable: () => Promise.resolve([answer]), ...(answer.level === 'ok' && checks) };
}

/** Names the setting, never its value, which may contain a password. */
async function reach(setting: string, act: () => Promise<unknown>): Promise<Finding> {
  try {
    await act();
    return ok('reachable', `${setting} answers`);
  } catch (error) {
    return failed('reachable', `${setting}: ${messageOf(error)}`, `Start the server, or correct ${setting}`);
  }
}
