import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '@app/test-kit/eventually';
import { expect, test } from 'vitest';

const program = new URL('../src/program.ts', import.meta.url);
const endless = new URL('./endless-program.fixture.ts', import.meta.url);
const bench = `
  import { startProgram } from '${program.href}';
  console.log(startProgram(new URL('${endless.href}'), {}).pid);`;

test('a program under measurement does not outlive the benchmark, however that ends', async () => {
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', bench], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line]: unknown[] = await once(parent.stdout, 'data');
  const pid = Number(String(line));
  expect(isRunning(pid)).toBe(true);
  parent.kill('SIGKILL');
  await eventually(() => !isRunning(pid), { timeoutMs: 20_000 });
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
