import { expect, test } from 'vitest';
import { judgeRedis, parseRedisInfo } from '../src/check-redis.ts';

const sound = [
  'redis_version:7.0.15',
  'role:master',
  'maxmemory_policy:noeviction',
  'used_memory:1000',
  'maxmemory:100000',
  'aof_enabled:1',
  'aof_last_write_status:ok',
];

function failuresOf(...lines: readonly string[]): readonly string[] {
  const info = parseRedisInfo(['# Server', ...sound, ...lines].join('\r\n'));
  return judgeRedis(info).flatMap(({ level, check }) => (level === 'failed' ? [check] : []));
}

test('a Redis that is too old fails, and a Valkey is known by its own version', () => {
  expect(failuresOf()).toEqual([]);
  expect(failuresOf('redis_version:6.2.14')).toEqual(['version']);
  const [version] = judgeRedis(parseRedisInfo(['redis_version:7.2.4', 'valkey_version:9.0.1'].join('\r\n')));
  expect(version).toEqual({ level: 'ok', check: 'version', found: 'Valkey 9.0.1' });
});
