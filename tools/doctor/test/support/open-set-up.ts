import { randomUUID } from 'node:crypto';
import { migrate } from '@app/migrate/migrate';
import { readConfig } from '@app/runtime/config';
import { startDirectus, type TestDirectus } from '@app/test-kit/directus';
import { seedEvent } from '@app/test-kit/directus-tables';
import { startPostgres } from '@app/test-kit/postgres';
import { runProgram } from '@app/test-kit/program';
import { startOwnRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { openPostgres } from '../../src/connect.ts';
import { examine, type WatchRequest } from '../../src/examine.ts';
import { explainRefusal } from '../../src/explain-refusal.ts';
import type { Finding, Group } from '../../src/finding.ts';
import { doctorSettings } from '../../src/settings.ts';

export const stream = 'telemetry:test';

/** A set-up without a fault: its servers, an event with a device, and a processor that has read all. */
export interface SetUp extends AsyncDisposable {
  readonly redis: Redis;
  readonly sql: postgres.Sql;
  readonly directus: TestDirectus;
  readonly eventId: string;
  readonly env: Environment;
  /** Adds a user of Directus, with a session. */
  addUser(
    status?: string,
  ): Promise<{ readonly userId: string; readonly session: string; readonly email: string }>;
  /** Runs the checks of the set-up in this process, with settings changed. */
  examine(env?: Environment): Promise<Examination>;
  /** Runs the checks of a request to watch an event in this process, with settings changed. */
  explain(request: WatchRequest, env?: Environment): Promise<Examination>;
  /** Runs `./run doctor`. */
  run(args: readonly string[], env?: Environment): Promise<ProgramEnd>;
}

type Environment = Readonly<Record<string, string>>;
type ProgramEnd = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

export interface Examination {
  readonly findings: readonly Finding[];
  /** The failed ones, as `check: found → todo`. */
  readonly failures: readonly string[];
}

const main = new URL('../../src/main.ts', import.meta.url);
const password = 'of-this-test';

export async function openSetUp(redisSettings: Readonly<Record<string, string>> = {}): Promise<SetUp> {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startOwnRedis({ settings: redisSettings }));
  const redis = stack.adopt(new Redis(server.url), (client) => client.disconnect());
  const database = stack.use(await startPostgres());
  await migrate(database.url, {
    logins: [
      { name: 'processor', memberOf: 'tracking_processor', password },
      { name: 'live_gateway', memberOf: 'tracking_gateway', password },
    ],
  });
  const sql = stack.adopt(postgres(database.url, { max: 1, onnotice: () => undefined }), (client) =>
    client.end(),
  );
  const directus = stack.use(await startDirectus());
  const eventId = randomUUID();
  await seedEvent(sql, { eventId, devices: [{ id: randomUUID(), imei: '350000000000001' }] });
  await redis.xgroup('CREATE', stream, 'processor', '0', 'MKSTREAM');
  await readEntry(redis);
  const env = {
    REDIS_URL: server.url,
    POSTGRES_URL: database.url,
    REDIS_TELEMETRY_STREAM: stream,
    DIRECTUS_BASE_URL: directus.url,
    LIVE_ALLOWED_ORIGINS: 'https://live.example.org',
  };
  const resources = stack.move();
  return {
    redis,
    sql,
    directus,
    eventId,
    env,
    addUser: async (status = 'active') => {
      const user = {
        userId: randomUUID(),
        session: `session.${randomUUID()}`,
        email: `${randomUUID()}@example.org`,
      };
      await sql`insert into directus_users (id, email, status) values (${user.userId}, ${user.email}, ${status})`;
      directus.addSession(user.session, user.userId);
      return user;
    },
    examine: async (changed) => summarise(await examine(readConfig(doctorSettings, { ...env, ...changed }))),
    explain: async (request, changed) => {
      await using postgresConnection = openPostgres(database.url);
      const config = readConfig(doctorSettings, { ...env, ...changed });
      const findings = await explainRefusal(config, postgresConnection.read, request);
      return summarise([{ title: '', findings }]);
    },
    run: (args, changed) => runProgram({ main, args, env: { ...env, ...changed } }),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function summarise(groups: readonly Group[]): Examination {
  const findings = groups.flatMap((group) => group.findings);
  const failures = findings
    .filter(({ level }) => level === 'failed')
    .map(({ check, found, todo }) => `${check}: ${found} → ${todo}`);
  return { findings, failures };
}

/** Adds an entry and lets the processor's group read it. */
async function readEntry(redis: Redis): Promise<void> {
  const id = await redis.xadd(stream, '*', 'payload', '{}');
  await redis.xreadgroup('GROUP', 'processor', 'processor-1', 'COUNT', 1, 'STREAMS', stream, '>');
  await redis.xack(stream, 'processor', id ?? '');
}
