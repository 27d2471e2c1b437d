import { Redis } from 'ioredis';
import postgres from 'postgres';
import { learnLimits, usualLimits } from './learn-limits.ts';
import { openStage } from './open-stage.ts';
import type { ConformanceArguments } from './read-arguments.ts';
import type { Target } from './target.ts';

/** The server with what was given to test it with. */
export async function equipTarget(given: ConformanceArguments): Promise<Target & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const session = given.session === undefined ? undefined : { cookie: given.session };
  const { eventId, stream, redisUrl, postgresUrl } = given;
  const bare: Target = {
    url: given.url,
    origin: given.origin,
    letsInWithoutOrigin: given.letsInWithoutOrigin,
    limits: usualLimits,
    answerMs: 10_000,
    refreshMs: 2 * given.refreshMs + 5_000,
    ...(session !== undefined && { session }),
    ...(eventId !== undefined && { eventId }),
  };
  const target = { ...bare, limits: await learnLimits(bare) };
  const hasStage =
    session !== undefined &&
    eventId !== undefined &&
    stream !== undefined &&
    redisUrl !== undefined &&
    postgresUrl !== undefined;
  if (!hasStage) return { ...target, [Symbol.asyncDispose]: () => Promise.resolve() };

  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1 });
  stack.defer(() => redis.disconnect());
  const sql = postgres(postgresUrl, { max: 2, onnotice: () => undefined });
  stack.defer(() => sql.end({ timeout: 1 }));
  const [others] = await sql`
    select 1 from entry_devices join entries on entries.id = entry_devices.entry_id
    where entries.event_id = ${eventId} limit 1`;
  if (others !== undefined)
    throw new Error('the event has devices; take one without, the suite brings its own');
  const resources = stack.move();
  return {
    ...target,
    openStage: ({ deviceCount } = {}) => openStage({ redis, sql, stream, eventId, session, deviceCount }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
