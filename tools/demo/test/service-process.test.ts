import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';
import { ServiceProcess } from '../src/service-process.ts';

const never = new AbortController().signal;

async function writeScript(lines: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'service-process-'));
  const file = join(folder, 'main.mjs');
  await writeFile(file, lines.join('\n'));
  return {
    url: pathToFileURL(file),
    file,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

const say = (line: object): string => `console.log(${JSON.stringify(JSON.stringify(line))});`;

test('what a service logs can be waited for, and its environment is what it was given', async () => {
  await using script = await writeScript([
    'setTimeout(() => console.log(JSON.stringify({ msg: "listening", port: Number(process.env.PORT), home: process.env.HOME })), 50);',
    'setInterval(() => {}, 1000);',
  ]);
  await using service = new ServiceProcess({ name: 'x', main: script.url, env: { PORT: '123' } });
  expect(await service.readNumber('port', never)).toBe(123);
  expect(service.lines[0]).toEqual({ msg: 'listening', port: 123 });
  expect(service.isRunning).toBe(true);
  expect(await service.stop()).toBe('SIGTERM');
  expect(service.isRunning).toBe(false);
});

test('a service that dies while it is waited for is an error with the last it said', async () => {
  await using script = await writeScript([
    say({ level: 'info', time: 1, msg: 'about to fail', reason: 'a test' }),
    'throw new Error("thrown on purpose");',
  ]);
  const service = new ServiceProcess({ name: 'processor', main: script.url, env: {} });
  const error: unknown = await service.readNumber('port', never).catch((reason: unknown) => reason);
  expect(String(error)).toContain('processor ended with exit code 1');
  expect(String(error)).toContain('about to fail {"level":"info","reason":"a test"}');
  expect(String(error)).toContain('thrown on purpose');
});

test('waiting ends with the signal', async () => {
  await using script = await writeScript(['setInterval(() => {}, 1000);']);
  await using service = new ServiceProcess({ name: 'x', main: script.url, env: {} });
  await expect(service.readNumber('port', AbortSignal.timeout(100))).rejects.toThrow(/abort|timeout/i);
});

test('a service ends when the process that started it is killed', async () => {
  await using service = await writeScript([
    'console.log(JSON.stringify({ msg: "pid", pid: process.pid }));',
    'setInterval(() => {}, 1000);',
  ]);
  const module = new URL('../src/service-process.ts', import.meta.url).href;
  await using parent = await writeScript([
    `import { ServiceProcess } from ${JSON.stringify(module)};`,
    `const service = new ServiceProcess({ name: 'x', main: new URL(${JSON.stringify(service.url.href)}), env: {} });`,
    `await service.readNumber('pid', AbortSignal.timeout(10_000));`,
    'console.log(service.pid);',
    'setInterval(() => {}, 1000);',
  ]);
  const started = spawn(process.execPath, [parent.file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line]: unknown[] = await once(createInterface({ input: started.stdout }), 'line');
  const pid = Number(line);
  expect(isAlive(pid)).toBe(true);
  started.kill('SIGKILL');
  await eventually(() => !isAlive(pid));
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
