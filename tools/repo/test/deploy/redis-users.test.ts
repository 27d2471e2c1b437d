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

test('a user without a password is nobody, and the default user can do nothing', () => {
  expect(users({})).toEqual(['user default reset off']);
  expect(users({ GATEWAY_PASSWORD: 'a' }).map((line) => line.split(' ')[1])).toEqual([
    'default',
    'live-gateway',
  ]);
});

test('two passwords both hold, so that one can follow the other, and neither is written down', () => {
  const [, line = ''] = users({ PROCESSOR_PASSWORD: 'the-new-one the-old-one' });
  expect(line).toContain(` on ${hash('the-new-one')} ${hash('the-old-one')} `);
  expect(line).not.toContain('-one');
});

test('streams of another name are these users’ own, and no others', () => {
  const [, line = ''] = users({ GATEWAY_PASSWORD: 'a', STREAMS: '{shard-*}:fixes' });
  expect(line).toContain('%R~{shard-*}:fixes ');
  expect(line).not.toContain('telemetry');
});
