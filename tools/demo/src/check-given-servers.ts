import { messageOf } from '@app/runtime/message-of';
import { Redis } from 'ioredis';
import postgres from 'postgres';

const timeoutMs = 5_000;

/**
 * Checks the servers of REDIS_URL and POSTGRES_URL, where they are set: the services would wait for them.
 *
 * @throws if one does not answer, or does not let the demo create a database.
 */
export async function checkGivenServers(env: NodeJS.ProcessEnv): Promise<void> {
  await check('REDIS_URL', env, pingRedis);
  await check('POSTGRES_URL', env, checkMayCreateDatabases);
}

async function check(
  setting: string,
  env: NodeJS.ProcessEnv,
  act: (url: string) => Promise<void>,
): Promise<void> {
  const url = env[setting];
  if (url === undefined || url === '') return;
  try {
    await act(url);
  } catch (error) {
    throw new Error(
      `the server of ${setting} cannot be used: ${messageOf(error)}. Correct ${setting}, or unset it to start a server`,
      { cause: error },
    );
  }
}

async function pingRedis(url: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    retryStrategy: null,
    maxRetriesPerRequest: 0,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
  });
  let cause: Error | undefined;
  redis.on('error', (error) => (cause = error));
  try {
    await redis.connect();
    await redis.ping();
  } catch (error) {
    // The rejection only says that the connection is closed.
    throw cause ?? error;
  } finally {
    redis.disconnect();
  }
}

async function checkMayCreateDatabases(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, connect_timeout: timeoutMs / 1000, onnotice: () => undefined });
  try {
    const [role] = await sql<{ name: string; mayCreate: boolean }[]>`
      select rolname as name, rolcreatedb or rolsuper as "mayCreate" from pg_roles where rolname = current_user`;
    if (role?.mayCreate !== true) {
      throw new Error(`the role ${role?.name ?? ''} may not create databases (alter role … createdb)`);
    }
  } finally {
    await sql.end({ timeout: 1 });
  }
}
