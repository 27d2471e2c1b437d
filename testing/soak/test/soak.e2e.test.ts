import { chmod, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onServer } from '@app/test-kit/database';
import { eventually } from '@app/test-kit/eventually';
import { descendantsOf, isRunning } from '@app/test-kit/process-tree';
import { Program } from '@app/test-kit/program';
import { expect, test } from 'vitest';
import type { Fault } from '../src/faults/fault.ts';
import { soak } from '../src/soak.ts';

test(
  'ended early by Ctrl-C it still checks the promise and leaves nothing behind',
  { timeout: 120_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'soak-test-'));
    await chmod(folder, 0o755); // Postgres runs as another user where this one is root.
    try {
      const program = new Program({
        main: new URL('../src/main.ts', import.meta.url),
        args: ['--for', '10m', '--seed', '4'],
        env: { HOME: process.env['HOME'], TMPDIR: folder },
      });
      await eventually(() => program.lines.filter(({ msg }) => msg.includes(' * ')).length >= 3, {
        timeoutMs: 60_000,
      });
      const { pid } = program;
      const started = descendantsOf(pid);
      expect(started.length).toBeGreaterThan(3);
      process.kill(-pid, 'SIGINT');
      const { code } = await program.exited;
      const output = program.stdout + program.stderr;

      expect(output).toContain('ending early');
      expect(output).toContain('seed 4');
      expect({ output, code }).toEqual({
        output: expect.stringContaining('the promise was kept'),
        code: 0,
      });
      await eventually(() => started.every((each) => !isRunning(each)));
      expect(await readdir(folder)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

/** Kills the processor while its inserts wait for a lock, which random faults rarely hit: what they hold is acknowledged. */
const killedBeforeItStores: Fault = {
  name: 'killed before it stores',
  target: 'processor',
  run: async ({ harness: { ownPostgres, replicas }, log }) => {
    await onServer(ownPostgres.url, async (admin) => {
      await admin.begin(async (transaction) => {
        await transaction`lock table positions in access exclusive mode`;
        const waiting = transaction`from pg_locks where relation = 'positions'::regclass and not granted`;
        await eventually(async () => (await transaction`select ${waiting}`).length > 0, {
          timeoutMs: 30_000,
        });
        log('killed');
        await replicas.kill('processor-1');
        // The statements of the killed process still wait.
        await transaction`select pg_terminate_backend(pid) ${waiting}`;
      });
    });
    await replicas.start('processor-1');
  },
};

test('a processor that acknowledges before it stores is detected', { timeout: 120_000 }, async () => {
  const stop = new AbortController();
  const { problems, summary } = await soak({
    durationMs: 60_000,
    seed: 1,
    ratePerS: 200,
    stop: stop.signal,
    print: (line) => {
      if (line.includes('killed')) stop.abort();
    },
    preload: new URL('support/acknowledge-first.ts', import.meta.url),
    faults: [killedBeforeItStores],
  });
  expect(summary).toContain('1 faults');
  expect(problems.join('\n')).toMatch(/^records neither stored nor dead-lettered \(\d+\): \d+ \(\w+\);/u);
});
