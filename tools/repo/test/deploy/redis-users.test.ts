import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { repositoryPath } from '../../src/deploy/repository.ts';

function users(env: Readonly<Record<string, string>>): readonly string[] {
  const options = { env: { PATH: process.env['PATH'], ...env }, encoding: 'utf8' } as const;
  return execFileSync('sh', [repositoryPath('deploy/redis/users.sh')], options)
    .trimEnd()
    .split('\n');
}

const hash = (password: string): string => `#${createHash('sha256').update(password).digest('hex')}`;

test('omits users without a password and disables the default user', () => {
  expect(users({})).toEqual(['user default reset off']);
  expect(users({ GATEWAY_PASSWORD: 'a' }).map((line) => line.split(' ')[1])).toEqual([
    'default',
    'live-gateway',
  ]);
});

test('accepts two passwords for rotation and stores only hashes', () => {
  const [, line = ''] = users({ PROCESSOR_PASSWORD: 'the-new-one the-old-one' });
  expect(line).toContain(` on ${hash('the-new-one')} ${hash('the-old-one')} `);
  expect(line).not.toContain('-one');
});

test('STREAMS replaces the key pattern', () => {
  const [, line = ''] = users({ GATEWAY_PASSWORD: 'a', STREAMS: '{shard-*}:fixes' });
  expect(line).toContain('%R~{shard-*}:fixes ');
  expect(line).not.toContain('telemetry');
});

test('the gateway may only use XGROUP with GATEWAY_LAG_MARKERS', () => {
  expect(users({ GATEWAY_PASSWORD: 'a' }).join('\n')).not.toContain('xgroup');
  const [, line = ''] = users({ GATEWAY_PASSWORD: 'a', GATEWAY_LAG_MARKERS: 'on' });
  expect(line).toContain('(~telemetry:* +xgroup|create +xgroup|setid +xgroup|destroy)');
});
