import { expect, test } from 'vitest';
import { eventually } from '../src/eventually.ts';
import { isRunning } from '../src/process-tree.ts';
import { cleanExit, Program, runProgram } from '../src/program.ts';
import { writeScript } from './support/write-script.ts';

const log = (fields: object): string => `console.log(${JSON.stringify(JSON.stringify(fields))});`;
const stayAlive = 'setInterval(() => {}, 1000);';

test('a line of output can be waited for, and the environment is what was given', async () => {
  await using script = await writeScript(
    'setTimeout(() => console.log(JSON.stringify({ msg: "listening", port: Number(process.env.PORT), home: process.env.HOME })), 50);',
    stayAlive,
  );
  await using program = new Program({ main: script.main, env: { PORT: '123' } });
  expect(await program.line(({ port }) => port)).toBe(123);
  expect(program.lines).toEqual([{ msg: 'listening', port: 123 }]);
  expect(program.isRunning).toBe(true);
  expect(await program.stop()).toEqual({ code: null, signal: 'SIGTERM' });
  expect(program.isRunning).toBe(false);
});

test('waiting for a line rejects with the last lines when the program ends', async () => {
  await using script = await writeScript(
    log({ level: 'info', time: 1, msg: 'about to fail', reason: 'a test' }),
    'throw new Error("thrown on purpose");',
  );
  const program = new Program({ main: script.main, name: 'processor' });
  const error: unknown = await program.line(({ port }) => port).catch((reason: unknown) => reason);
  expect(String(error)).toContain('processor ended with exit code 1');
  expect(String(error)).toContain('about to fail {"level":"info","reason":"a test"}');
  expect(String(error)).toContain('thrown on purpose');
});

test('waiting for a line ends with the signal', async () => {
  await using script = await writeScript(stayAlive);
  await using program = new Program({ main: script.main });
  const signal = AbortSignal.timeout(100);
  await expect(program.line(({ port }) => port, { signal })).rejects.toThrow(/abort/iu);
  await expect(program.logged(/never/u, { timeoutMs: 100 })).rejects.toThrow(
    'main.mjs logged no line /never/u',
  );
});

test('a program reads what is sent before it has started', async () => {
  await using script = await writeScript("process.stdin.on('data', (data) => console.log(String(data)));");
  await using program = new Program({ main: script.main });
  program.send({ number: 7 });
  expect(await program.line(({ number }) => number)).toBe(7);
});

test('only the last lines are kept, and skip counts dropped lines', async () => {
  await using script = await writeScript(
    'for (let n = 0; n < 100; n += 1) console.log(JSON.stringify({ n }));',
  );
  const program = new Program({ main: script.main, keptLines: 10 });
  expect(await program.exited).toEqual(cleanExit);
  expect(program.lines.map(({ n }) => n)).toEqual([90, 91, 92, 93, 94, 95, 96, 97, 98, 99]);
  expect(await program.line(({ n }) => n, { skip: 95 })).toBe(95);
  expect(program.stdout.split('\n')).toHaveLength(11);
});

test('a program that is run to its end returns its output and exit code', async () => {
  await using script = await writeScript(
    'console.log(process.argv[2]);',
    'console.error("bad");',
    'process.exit(3);',
  );
  expect(await runProgram({ main: script.main, args: ['good'] })).toEqual({
    stdout: 'good\n',
    stderr: 'bad\n',
    code: 3,
  });
});

test('a program ends when the process that started it is killed', async () => {
  await using child = await writeScript(log({ msg: 'started' }), stayAlive);
  const module = new URL('../src/program.ts', import.meta.url).href;
  await using script = await writeScript(
    `import { Program } from ${JSON.stringify(module)};`,
    `const program = new Program({ main: new URL(${JSON.stringify(child.main.href)}) });`,
    'await program.line(({ msg }) => msg);',
    'console.log(JSON.stringify({ pid: program.pid }));',
    stayAlive,
  );
  const parent = new Program({ main: script.main });
  const pid = Number(await parent.line((line) => line['pid']));
  expect(isRunning(pid)).toBe(true);
  await parent.crash();
  await eventually(() => !isRunning(pid), { timeoutMs: 20_000 });
});
