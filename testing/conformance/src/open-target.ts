import { Redis } from 'ioredis';
import postgres from 'postgres';
import { defaultLimits, fetchLimits } from './fetch-limits.ts';
import { openTestEvent } from './open-test-event.ts';
import type { ConformanceArguments } from './read-arguments.ts';
import type { Target } from './target.ts';

/** The server under test with the capabilities that the arguments give. */
export async function openTarget(args: ConformanceArguments): Promise<Target & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const session = args.session === undefined ? undefined : { cookie: args.session };
  const { eventId, stream, redisUrl, postgresUrl } = args;
  const withoutLimits: Target = {
    url: args.url,
    origin: args.origin,
    letsInWithoutOrigin: args.letsInWithoutOrigin,
    limits: defaultLimits,
    answerMs: 10_000,
    refreshMs: 2 * args.refreshMs + 5_000,
    ...(session !== undefined && { session }),
    ...(eventId !== undefined && { eventId }),
  };
  const target = { ...withoutLimits, limits: await fetchLimits(withoutLimits) };
  if (
    session === undefined ||
    eventId === undefined ||
    stream === undefined ||
    redisUrl === undefined ||
    postgresUrl === undefined
  ) {
    return { ...target, [Symbol.asyncDispose]: () => Promise.resolve() };
  }

  const redis = new Redis(redisUrl, { maxRetriesPerRequest: 1 });
  stack.defer(() => redis.disconnect());
  const sql = postgres(postgresUrl, { max: 2, onnotice: () => undefined });
  stack.defer(() => sql.end({ timeout: 1 }));
  const [existing] = await sql`
    select 1 from entry_devices join entries on entries.id = entry_devices.entry_id
    where entries.event_id = ${eventId} limit 1`;
  if (existing !== undefined)
    throw new Error('the event has devices; give one without, since the suite adds its own');
  const resources = stack.move();
  return {
    ...target,
    openTestEvent: ({ deviceCount } = {}) =>
      openTestEvent({ redis, sql, stream, eventId, session, deviceCount }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
