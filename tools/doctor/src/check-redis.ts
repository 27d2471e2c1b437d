import type { Redis } from 'ioredis';
import { failed, note, ok, type Finding } from './finding.ts';

/** XINFO GROUPS knows a group's lag since 7.0, and an ACL has selectors. */
const oldestMajorVersion = 7;
const fullRatio = 0.9;

/** Version, memory limit, eviction, persistence and role of the Redis server. */
export async function checkRedis(redis: Redis): Promise<readonly Finding[]> {
  return judgeRedis(parseRedisInfo(await redis.info()));
}

export function judgeRedis(info: ReadonlyMap<string, string>): readonly Finding[] {
  return [
    checkVersion(info),
    checkRole(info),
    checkEviction(info),
    checkMemory(info),
    checkPersistence(info),
  ];
}

export function parseRedisInfo(reply: string): ReadonlyMap<string, string> {
  return new Map(
    reply.split('\r\n').flatMap((line): [string, string][] => {
      const at = line.indexOf(':');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)]];
    }),
  );
}

function checkVersion(info: ReadonlyMap<string, string>): Finding {
  const version = info.get('redis_version') ?? 'unknown';
  const valkey = info.get('valkey_version');
  const found = valkey === undefined ? `Redis ${version}` : `Valkey ${valkey}`;
  return Number.parseInt(version, 10) >= oldestMajorVersion
    ? ok('version', found)
    : failed('version', found, `Use Redis or Valkey ${oldestMajorVersion} or newer`);
}

function checkRole(info: ReadonlyMap<string, string>): Finding {
  const role = info.get('role') ?? 'unknown';
  return role === 'master'
    ? ok('role', 'primary')
    : failed('role', role, 'Let REDIS_URL name the primary: a replica refuses acknowledgements');
}

function checkEviction(info: ReadonlyMap<string, string>): Finding {
  const policy = info.get('maxmemory_policy') ?? 'unknown';
  return policy === 'noeviction'
    ? ok('maxmemory-policy', policy)
    : failed(
        'maxmemory-policy',
        `${policy}: Redis may delete entries that are not stored yet`,
        'CONFIG SET maxmemory-policy noeviction, and the same in redis.conf',
      );
}

function checkMemory(info: ReadonlyMap<string, string>): Finding {
  const used = Number(info.get('used_memory'));
  const limit = Number(info.get('maxmemory'));
  const usedMiB = `${Math.ceil(used / 2 ** 20)} MiB used`;
  if (limit === 0) {
    return note('memory', `${usedMiB}, no maxmemory`, 'Set maxmemory: without it the kernel may kill Redis');
  }
  const found = `${usedMiB} of ${Math.ceil(limit / 2 ** 20)} MiB`;
  return used < fullRatio * limit
    ? ok('memory', found)
    : failed(
        'memory',
        found,
        'Raise maxmemory, or lower the MAXLEN of the producer; at the limit writes are refused',
      );
}

function checkPersistence(info: ReadonlyMap<string, string>): Finding {
  const check = 'persistence';
  const broken = ['aof_last_write_status', 'aof_last_bgrewrite_status', 'rdb_last_bgsave_status'].filter(
    (status) => info.get(status) === 'err',
  );
  if (broken.length > 0) {
    return failed(
      check,
      `${broken.join(', ')}: err`,
      "Free the disk of Redis' data folder, then read its log",
    );
  }
  if (info.get('aof_enabled') === '1') return ok(check, 'append-only file');
  return failed(
    check,
    'no append-only file: a restart loses the entries that are not stored yet',
    'CONFIG SET appendonly yes, and the same in redis.conf',
  );
}
