import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { RepositoryCopy } from './support/repository-copy.ts';

/** The part of `turbo run --dry=json` that is checked; `inputs` maps a file to its hash. */
const dryRun = z.object({
  tasks: z.array(
    z.object({ taskId: z.string(), command: z.string(), inputs: z.record(z.string(), z.unknown()) }),
  ),
});
const main = fileURLToPath(new URL('../../src/checks/main.ts', import.meta.url));
const tools = fileURLToPath(new URL('../../../../node_modules/.bin/', import.meta.url));

describe('./run check', () => {
  let copy: RepositoryCopy;
  beforeAll(() => {
    copy = new RepositoryCopy();
  });
  afterAll(() => copy[Symbol.dispose]());

  function run(command: string, args: readonly string[]): { code: number | null; output: string } {
    const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1' };
    const { status, stdout, stderr } = spawnSync(command, args, { cwd: copy.root, env, encoding: 'utf8' });
    return { code: status, output: `${stdout}${stderr}` };
  }

  function plan(...names: readonly string[]): z.output<typeof dryRun> {
    const { output } = run(join(tools, 'turbo'), ['run', ...names, '--dry=json']);
    return dryRun.parse(JSON.parse(output.slice(output.indexOf('{'), output.lastIndexOf('}') + 1)));
  }

  test('runs format, lint, boundaries, rules, unused code and the types of every package', () => {
    expect(plan('check')).toMatchObject({
      tasks: expect.arrayContaining(
        [
          ['//#format', 'oxfmt --check .'],
          ['//#lint', 'oxlint'],
          ['//#boundaries', 'turbo boundaries'],
          ['//#rules', 'node tools/repo/src/checks/main.ts'],
          ['//#unused', 'knip'],
          ['@app/shared#types', 'tsc -p .'],
          ['@app/processor#types', 'tsc -p .'],
          ['@app/live-gateway#types', 'tsc -p .'],
        ].map(([taskId, command]) => expect.objectContaining({ taskId, command })),
      ),
    });
  });

  test("caches the root's checks by the sources of all packages, without dependencies", () => {
    const { tasks } = plan('//#lint', '//#rules', '//#unused');
    expect(tasks.map((task) => task.taskId).toSorted()).toEqual(['//#lint', '//#rules', '//#unused']);
    for (const { inputs } of tasks) {
      expect(Object.keys(inputs)).toEqual(
        expect.arrayContaining(['packages/shared/src/position.ts', 'pnpm-lock.yaml', '.oxlintrc.json']),
      );
      expect(Object.keys(inputs).filter((file) => file.includes('node_modules/'))).toEqual([]);
    }
  });

  test('a violated rule prints the file and the reason and exits with 1', () => {
    using _files = copy.addFiles({
      'services/processor/src/domain/sample.ts': 'export const sample = 1;\n',
      'services/processor/src/sample-relay.ts': "export * from './domain/sample.ts';\n",
      'services/processor/src/pipeline/sample.ts': "export { sample } from '../sample-relay.ts';\n",
    });
    const { code, output } = run(process.execPath, [main, copy.root]);
    expect(output).toContain('services/processor/src/domain/sample.ts: loaded outside domain/');
    expect(code).toBe(1);
  });

  test('a rule fails if its folder is missing', () => {
    using moved = new RepositoryCopy();
    rmSync(join(moved.root, 'services/processor/src/domain'), { recursive: true });
    const { code, output } = run(process.execPath, [main, moved.root]);
    expect(output).toContain('services/processor/src/domain has no .ts file');
    expect(code).toBe(1);
  });

  test.for([
    [
      'services/processor/src/pipeline/sample.ts',
      "export * from '../domain/x.ts';\n",
      'Only main.ts imports domain/',
    ],
    [
      'services/live-gateway/src/latest/sample.ts',
      "import 'uWebSockets.js';\n",
      'Only server/ and connection/ know uWebSockets.js',
    ],
  ] as const)('oxlint refuses the import in %s', ([file, text, message]) => {
    using _files = copy.addFiles({ [file]: text });
    const { code, output } = run(join(tools, 'oxlint'), [file]);
    expect(output).toContain(message);
    expect(code).toBe(1);
  });

  test.for([
    ['a library that imports a service', 'library', '@app/processor'],
    ['a library that imports a tool', 'library', '@app/fleet-sim'],
    ['a service that imports a service', 'service', '@app/processor'],
    ['a service that imports a tool', 'service', '@app/fleet-sim'],
  ])('turbo boundaries refuses %s', ([, tag, dependency = '']) => {
    using _files = copy.addFiles({
      'packages/sample/package.json': JSON.stringify({
        name: '@app/sample',
        version: '0.1.0',
        dependencies: { [dependency]: 'workspace:*' },
      }),
      'packages/sample/turbo.json': JSON.stringify({ extends: ['//'], tags: [tag] }),
    });
    const { code, output } = run(join(tools, 'turbo'), ['boundaries']);
    expect(output).toMatch(/Package `\S+` found with(out any)? tag/);
    expect(code).toBe(1);
  });
});
