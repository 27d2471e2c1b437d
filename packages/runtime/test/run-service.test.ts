import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { z } from 'zod';

const fixture = new URL('run-service.fixture.ts', import.meta.url).pathname;
const logLine = z.looseObject({ level: z.string(), msg: z.string() });

interface Ended {
  readonly code: number | null;
  readonly lines: readonly z.output<typeof logLine>[];
  readonly stderr: string;
}

interface Service extends Disposable {
  readonly child: ChildProcess;
  /** Waits until the service has logged the message. */
  logged(message: string): Promise<void>;
  readonly ended: Promise<Ended>;
}

function start(behaviour: string, env: NodeJS.ProcessEnv = { NAME: 'fixture-1' }): Service {
  const child = spawn(process.execPath, [fixture, behaviour], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    stdout += part;
  });
  const linesSoFar = () =>
    stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => logLine.parse(JSON.parse(line)));
  const stderr = text(child.stderr);
  const ended = once(child, 'close').then(async ([code]: (number | null)[]): Promise<Ended> => ({
    code: code ?? null,
    lines: linesSoFar(),
    stderr: await stderr,
  }));
  return {
    child,
    ended,
    async logged(message) {
      await eventually(() => stdout.includes(`"msg":"${message}"`), { timeoutMs: 10_000 });
    },
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}

function messages({ lines }: Ended): readonly string[] {
  return lines.map(({ msg }) => msg);
}

test('a service that ends exits with 0', async () => {
  using service = start('ends by itself');
  const ended = await service.ended;
  expect(ended).toMatchObject({ code: 0, stderr: '' });
  expect(messages(ended)).toEqual(['starting', 'done', 'ended']);
});

test('the first log line has version, commit and settings, without secrets', async () => {
  using service = start('ends by itself', { NAME: 'fixture-1', KEY: 'hunter2', BUILD_COMMIT: 'abc123' });
  const ended = await service.ended;
  expect(ended.lines[0]).toMatchObject({
    service: 'fixture',
    instance: 'fixture-1',
    version: '0.1.0',
    commit: 'abc123',
    settings: { NAME: 'fixture-1', KEY: '[set]', GRACE_MS: 60_000 },
  });
  expect(JSON.stringify(ended.lines)).not.toContain('hunter2');
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  '%s stops the service, which cleans up and exits with 0',
  async (signal) => {
    using service = start('stops when it is asked to');
    await service.logged('running');
    service.child.kill(signal);
    const ended = await service.ended;
    expect(ended.code).toBe(0);
    expect(messages(ended)).toEqual(['starting', 'running', 'stopping', 'cleaned up', 'ended']);
  },
);

test.each(['rejects with the reason of the stop', 'rejects with an error caused by the stop'])(
  'a service that %s exits with 0',
  async (behaviour) => {
    using service = start(behaviour);
    await service.logged('running');
    service.child.kill('SIGTERM');
    const ended = await service.ended;
    expect(ended.code).toBe(0);
    expect(ended.lines.map(({ level }) => level)).not.toContain('fatal');
  },
);

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('a second signal, %s, exits immediately with %i', async (signal, code) => {
  using service = start('never stops');
  await service.logged('running');
  service.child.kill('SIGTERM');
  await service.logged('stopping');
  service.child.kill(signal);
  const ended = await service.ended;
  expect(ended.code).toBe(code);
  expect(messages(ended).at(-1)).toBe('second signal; exiting immediately');
});

test('a service that does not stop within the grace period exits with 1', async () => {
  using service = start('never stops', { NAME: 'fixture-1', GRACE_MS: '50' });
  await service.logged('running');
  service.child.kill('SIGTERM');
  const ended = await service.ended;
  expect(ended.code).toBe(1);
  expect(ended.lines.at(-1)).toMatchObject({ level: 'fatal', msg: 'did not stop within 50 ms' });
});

test('a service that was frozen while it stopped gets its whole grace period', async () => {
  using service = start('stops in short steps', { NAME: 'fixture-1', GRACE_MS: '4000' });
  await service.logged('running');
  service.child.kill('SIGTERM');
  await service.logged('stopping');
  service.child.kill('SIGSTOP');
  const frozenUntilMs = performance.now() + 5_000;
  await eventually(() => performance.now() >= frozenUntilMs, { timeoutMs: 10_000 });
  service.child.kill('SIGCONT');
  const ended = await service.ended;
  expect(messages(ended).slice(-2)).toEqual(['cleaned up', 'ended']);
  expect(ended.code).toBe(0);
});

test.each([
  ['fails', 'service failed', 'no such table'],
  ['throws in a timer', 'uncaught exception', 'not caught'],
  ['ignores a rejection', 'unhandled rejection', 'not handled'],
])('a service that %s logs it once as fatal and exits with 1', async (behaviour, msg, message) => {
  using service = start(behaviour);
  const ended = await service.ended;
  expect(ended).toMatchObject({ code: 1, stderr: '' });
  const fatal = ended.lines.filter(({ level }) => level === 'fatal');
  expect(fatal).toEqual([expect.objectContaining({ msg, error: expect.objectContaining({ message }) })]);
});

test('a failure while stopping exits with 1', async () => {
  using service = start('fails while it stops');
  await service.logged('running');
  service.child.kill('SIGTERM');
  const ended = await service.ended;
  expect(ended.code).toBe(1);
  expect(ended.lines.at(-1)).toMatchObject({ level: 'fatal', error: { message: 'flushing failed' } });
});

test('a service that can never end exits with 1', async () => {
  using service = start('can never end');
  const ended = await service.ended;
  expect(ended.code).toBe(1);
  expect(ended.lines.at(-1)).toMatchObject({ level: 'fatal' });
});

test('an invalid configuration exits with 78 and the problems on stderr', async () => {
  using service = start('ends by itself', { GRACE_MS: 'soon', KEY: 'hunter2', KEY_FILE: '/run/secrets/key' });
  const ended = await service.ended;
  expect(ended).toMatchObject({ code: 78, lines: [] });
  expect(ended.stderr.trimEnd().split('\n')).toEqual([
    'fixture: invalid configuration:',
    '  KEY is set twice, directly and by KEY_FILE; remove one',
    '  NAME is not set; set it to a string of 1 to 1024 characters without control characters',
    '  GRACE_MS must be a whole number of milliseconds, from 0 to 2147483647 (it is "soon")',
  ]);
});

test('all log lines are written before the exit', async () => {
  using service = start('logs many lines and ends');
  const ended = await service.ended;
  expect(ended.lines).toHaveLength(20_002);
  expect(messages(ended).at(-1)).toBe('ended');
});
