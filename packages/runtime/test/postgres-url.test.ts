import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { commonSettings, ConfigError, readConfig } from '../src/config.ts';
import { readPostgresUrl } from '../src/postgres-url.ts';

const base = 'postgres://app:hunter2@db.example:6432/tracking';

test('a URL is read into its parts', () => {
  expect(readPostgresUrl('postgresql://a%40b:p%2Fw%25@[::1]/my%20db')).toEqual({
    host: '::1',
    port: 5432,
    user: 'a@b',
    password: 'p/w%',
    database: 'my db',
    tls: false,
    isTlsDirect: false,
  });
  expect(readPostgresUrl('postgres://db')).toEqual({
    host: 'db',
    port: 5432,
    tls: false,
    isTlsDirect: false,
  });
});

// As Neon, Supabase, Aiven, DigitalOcean, Azure and Render hand them out.
test.each([
  ['?sslmode=require', { rejectUnauthorized: false }],
  ['?sslmode=require&channel_binding=prefer', { rejectUnauthorized: false }],
  ['?sslmode=verify-full', { host: 'db.example' }],
  ['?sslmode=verify-full&sslrootcert=system', { host: 'db.example' }],
  ['?sslrootcert=system', { host: 'db.example' }],
  ['?sslmode=disable&gssencmode=disable&target_session_attrs=any', false],
])('%s is understood', (query, tls) => {
  expect(readPostgresUrl(base + query)).toMatchObject({ host: 'db.example', port: 6432, tls });
});

test('names, timeouts and server settings are understood', () => {
  const query = '?application_name=race&connect_timeout=10&options=-c%20search_path%3Da%2Bb';
  expect(readPostgresUrl(base + query)).toMatchObject({
    applicationName: 'race',
    connectTimeoutS: 10,
    options: '-c search_path=a+b',
  });
  expect(readPostgresUrl(`${base}?sslmode=require&sslnegotiation=direct`)).toMatchObject({
    isTlsDirect: true,
  });
});

test('the certificates of sslrootcert are read', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'certificates-'));
  const path = join(folder.path, 'ca.crt');
  writeFileSync(path, 'PEM');
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    const target = readPostgresUrl(`${base}?sslmode=${mode}&sslrootcert=${encodeURIComponent(path)}`);
    expect(target).toMatchObject({ tls: { ca: 'PEM' } });
    expect(target).not.toHaveProperty('tls.rejectUnauthorized');
  }
});

test.each([
  ['mysql://db/tracking', 'must be a URL that starts with postgres://'],
  ['postgres://', 'names no host'],
  ['postgres:///tracking', 'names no host'],
  ['postgres://app:hunter2@one,two/tracking', 'names several hosts, and only one is supported'],
  ['postgres://app:hunter2@one:5432,two:5433/tracking', 'names several hosts, and only one is supported'],
  ['postgres://app:hunter2%@db/tracking', 'has a % that starts no percent-encoded character'],
  [`${base}?sslmode=prefer`, 'has sslmode=prefer, which may connect without TLS'],
  [`${base}?sslmode=allow`, 'has sslmode=allow, which may connect without TLS'],
  [`${base}?sslmode=no-verify`, 'has an unknown sslmode'],
  [`${base}?sslmode=verify-ca`, 'has sslmode=verify-ca without sslrootcert'],
  [`${base}?sslmode=require&sslrootcert=system`, 'has sslrootcert=system, which needs sslmode=verify-full'],
  [`${base}?sslrootcert=%2Fca.crt`, 'has sslrootcert without TLS'],
  [`${base}?sslmode=verify-full&sslrootcert=%2Fno%2Fsuch`, 'has an sslrootcert that cannot be read (ENOENT)'],
  [`${base}?sslnegotiation=direct`, 'has sslnegotiation=direct, which needs sslmode'],
  [`${base}?sslmode=require&sslnegotiation=both`, 'has an unknown sslnegotiation'],
  [`${base}?sslmode=require&channel_binding=require`, 'has a channel_binding other than prefer and disable'],
  [`${base}?gssencmode=require`, 'has a gssencmode other than prefer and disable'],
  [
    `${base}?target_session_attrs=read-write`,
    'has target_session_attrs, which chooses between several hosts',
  ],
  [`${base}?connect_timeout=0`, 'has a connect_timeout that is not from 1 to 60 seconds'],
  [`${base}?connect_timeout=soon`, 'has a connect_timeout that is not from 1 to 60 seconds'],
  [`${base}?sslmode=require&sslmode=disable`, 'has the parameter sslmode twice'],
  [`${base}?host=%2Ftmp`, 'has the parameter host, which is not supported'],
  [`${base}?search_path=race`, 'has the parameter search_path, which is not supported'],
  [`${base}?sslcert=a&sslkey=b`, 'has the parameter sslcert, which is not supported'],
  [`${base}?pgbouncer=true`, 'has the parameter pgbouncer, which is not supported'],
  ['postgres://app:12?hunter2@db/tracking', 'has a parameter, which is not supported'],
])('%s is refused by name', (url, problem) => {
  expect(readPostgresUrl(url)).toEqual({ problem: expect.stringContaining(problem) });
  const schema = z.object({ POSTGRES_URL: commonSettings.POSTGRES_URL });
  let error: unknown;
  try {
    readConfig(schema, { POSTGRES_URL: url });
  } catch (caught) {
    error = caught;
  }
  expect(error).toBeInstanceOf(ConfigError);
  expect(error).toMatchObject({ exitCode: 78, message: expect.stringContaining(`POSTGRES_URL ${problem}`) });
  expect(String(error)).not.toContain('hunter2');
});
