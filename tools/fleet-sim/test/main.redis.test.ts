import { findFreePort } from '@app/test-kit/free-port';
import { runProgram } from '@app/test-kit/program';
import { startRedis } from '@app/test-kit/redis';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';

const runFleetSim = (args: readonly string[], env: NodeJS.ProcessEnv) =>
  runProgram({ main: new URL('../src/main.ts', import.meta.url), args, env });

test('adds a race to the stream and prints the counts', async () => {
  await using server = await startRedis();
  const stream = `${server.keyPrefix}telemetry`;
  const args = ['--vehicles', '5', '--for', '60s', '--speed', 'max', '--stream', stream];
  const { stdout, stderr, code } = await runFleetSim(args, { REDIS_URL: server.url });
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });

  const redis = new Redis(server.url);
  const entries = await redis.xrange(stream, '-', '+');
  redis.disconnect();
  expect(stdout).toContain(`sending 5 vehicles to ${stream}`);
  expect(stdout).toContain(`sent ${entries.length} records`);
  expect(entries.length).toBeGreaterThan(200);
  // No fix is in the future.
  for (const [id, fields] of entries)
    expect(Date.parse(fields[1] ?? '')).toBeLessThanOrEqual(Number(id.split('-')[0]));
});

test('--replay sends recorded flights', async () => {
  await using server = await startRedis();
  const stream = `${server.keyPrefix}telemetry`;
  const args = ['--replay', '--vehicles', '4', '--for', '60s', '--speed', 'max', '--stream', stream];
  const { stdout, code } = await runFleetSim(args, { REDIS_URL: server.url });
  expect(code).toBe(0);
  expect(stdout).toContain('4 vehicles');
});

test('an invalid command line exits with 2 and prints all problems and the usage', async () => {
  const { stderr, code } = await runFleetSim(['--vehicles', 'many'], {});
  expect(code).toBe(2);
  expect(stderr).toContain('REDIS_URL must be set');
  expect(stderr).toContain('--vehicles must be');
  expect(stderr).toContain('usage:');
});

test('exits with 69 and one line when Redis is not reachable', async () => {
  const REDIS_URL = `redis://127.0.0.1:${await findFreePort()}`;
  const { stderr, code } = await runFleetSim(['--stream', 'telemetry:x'], { REDIS_URL });
  expect(code).toBe(69);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect(stderr).toContain('ECONNREFUSED');
});
