import { afterAll, describe, expect, test } from 'vitest';
import { onlyMainImportsDomain } from '../../src/checks/only-main-imports-domain.ts';
import { invariantsNameTheirTests } from '../../src/checks/invariants-name-their-tests.ts';
import { noImportCircles } from '../../src/checks/no-import-circles.ts';
import type { Rule } from '../../src/checks/problem.ts';
import { RepositoryCopy } from './support/repository-copy.ts';
import { sharedIsPure } from '../../src/checks/shared-is-pure.ts';
import { uWebSocketsOnlyInServerAndConnection } from '../../src/checks/uwebsockets-only-in-server-and-connection.ts';
import { versionsComeFromTheCatalog } from '../../src/checks/versions-come-from-the-catalog.ts';

const copy = new RepositoryCopy();
afterAll(() => copy[Symbol.dispose]());

function refused(rule: Rule, files: Readonly<Record<string, string>>): readonly string[] {
  using _files = copy.addFiles(files);
  return rule(copy.root).map(({ file, message }) => `${file}: ${message}`);
}

describe('this repository complies with each rule', () => {
  test.for([
    onlyMainImportsDomain,
    sharedIsPure,
    uWebSocketsOnlyInServerAndConnection,
    versionsComeFromTheCatalog,
    invariantsNameTheirTests,
    noImportCircles,
  ])('%o', (rule) => {
    expect(rule(copy.root)).toEqual([]);
  });
});

describe('only main.ts imports the domain', () => {
  const domain = { 'services/processor/src/domain/sample.ts': 'export const sample = 1;\n' };
  const loop = 'services/processor/src/pipeline/sample.ts';

  test.for([
    ['a direct import', { [loop]: "export { sample } from '../domain/sample.ts';\n" }],
    ['a type', { [loop]: "export type P = typeof import('../domain/sample.ts');\n" }],
    ['a dynamic import', { [loop]: "export const late = () => import('../domain/sample.ts');\n" }],
    [
      're-exports of two other files',
      {
        'services/processor/src/sample-relay.ts': "export * from './sample-second.ts';\n",
        'services/processor/src/sample-second.ts':
          "export { sample as harmless } from './domain/sample.ts';\n",
        [loop]: "import { harmless } from '../sample-relay.ts';\nexport const twice = harmless * 2;\n",
      },
    ],
  ] as const)('through %s is refused', ([, files]) => {
    expect(refused(onlyMainImportsDomain, { ...domain, ...files })).toEqual([
      expect.stringMatching(
        /^services\/processor\/src\/domain\/sample\.ts: loaded outside domain.*Imported via/,
      ),
    ]);
  });

  test("Node's domain.d.ts is allowed", () => {
    const files = {
      [loop]: '/// <reference types="node" />\nexport type D = import(\'node:domain\').Domain;\n',
    };
    expect(refused(onlyMainImportsDomain, files)).toEqual([]);
  });
});

describe('uWebSockets.js only in server/ and connection/', () => {
  const outside = 'services/live-gateway/src/feed/sample.ts';
  const inside = 'services/live-gateway/src/server/sample.ts';

  test.for([
    ['an import', "import { App } from 'uWebSockets.js';\nexport const app = App();\n"],
    ['a type', "export type Socket = import('uWebSockets.js').WebSocket<unknown>;\n"],
    [
      'a require',
      "import { createRequire } from 'node:module';\ncreateRequire(import.meta.url)('uWebSockets.js');\n",
    ],
  ])('%s elsewhere is refused', ([, text]) => {
    expect(refused(uWebSocketsOnlyInServerAndConnection, { [outside]: text ?? '' })).toEqual([
      expect.stringMatching(/feed\/sample\.ts: uses uWebSockets\.js/),
    ]);
  });

  test.for([
    ['export … from', "export { App } from 'uWebSockets.js';\n"],
    ['export * from', "export * from 'uWebSockets.js';\n"],
    ['an imported name', "import { App } from 'uWebSockets.js';\nexport { App as server };\n"],
    ['an imported type', "import type { WebSocket } from 'uWebSockets.js';\nexport type { WebSocket };\n"],
  ])('a re-export by %s is refused', ([, text]) => {
    expect(refused(uWebSocketsOnlyInServerAndConnection, { [inside]: text ?? '' })).toEqual([
      expect.stringMatching(/server\/sample\.ts: re-exports from uWebSockets\.js/),
    ]);
  });

  test('an import inside is allowed', () => {
    const text = "import { App } from 'uWebSockets.js';\nexport const listen = () => App();\n";
    expect(refused(uWebSocketsOnlyInServerAndConnection, { [inside]: text })).toEqual([]);
  });
});

describe('@app/shared is pure', () => {
  const source = 'packages/shared/src/sample.ts';

  test.for([
    ['a library', "export { Redis } from 'ioredis';\n", /sample\.ts: imports ioredis/],
    ['a Node module', "export { readFileSync } from 'node:fs';\n", /sample\.ts: imports node:fs/],
    ['a dynamic import', "export const fs = () => import('node:fs');\n", /sample\.ts: imports node:fs/],
    [
      'a file of another package',
      "export * from '../../runtime/src/retry.ts';\n",
      /sample\.ts: imports \.\.\/\.\./,
    ],
    ['a global of Node', "export const bytes = Buffer.from('a');\n", /Cannot find name 'Buffer'/],
  ] as const)('%s is refused', ([, text, reason]) => {
    expect(refused(sharedIsPure, { [source]: text })).toContainEqual(expect.stringMatching(reason));
  });

  test('an import from a test is refused', () => {
    const files = {
      [source]: "export { sample } from './sample.test.ts';\n",
      'packages/shared/src/sample.test.ts': 'export const sample = 1;\n',
    };
    expect(refused(sharedIsPure, files)).toContainEqual(
      expect.stringMatching(/imports \.\/sample\.test\.ts/),
    );
  });

  test('zod, own files and tests that use Node are allowed', () => {
    const files = {
      [source]: "import { z } from 'zod';\nexport const sample = z.string();\n",
      'packages/shared/src/sample.test.ts':
        "import { readFileSync } from 'node:fs';\nexport default readFileSync;\n",
    };
    expect(refused(sharedIsPure, files)).toEqual([]);
  });
});

describe('versions come from the catalog', () => {
  test.for([
    ['a literal version', { dependencies: { ws: '8.23.0' } }, /ws is 8\.23\.0; write catalog:/],
    ['a range', { devDependencies: { ws: '^8.0.0' } }, /ws is \^8\.0\.0; write catalog:/],
    ['a git URL', { optionalDependencies: { ws: 'github:websockets/ws' } }, /write catalog:/],
    ['a version of a workspace package', { dependencies: { '@app/shared': '0.1.0' } }, /write workspace:\*/],
  ] as const)('%s is refused', ([, manifest, reason]) => {
    const files = { 'packages/sample/package.json': JSON.stringify(manifest) };
    expect(refused(versionsComeFromTheCatalog, files)).toEqual([expect.stringMatching(reason)]);
  });

  test('catalog: and workspace:* are allowed', () => {
    const manifest = { dependencies: { ws: 'catalog:', '@app/shared': 'workspace:*' } };
    const files = { 'packages/sample/package.json': JSON.stringify(manifest) };
    expect(refused(versionsComeFromTheCatalog, files)).toEqual([]);
  });
});

describe('invariants name their tests', () => {
  const file = 'docs/sample.md';
  const tests = {
    'tools/sample.test.ts': `
      describe.concurrent('a group', () => {
        test.skipIf(true)('holds, "always"', () => undefined);
        test.for([1, 2])('with %s', () => undefined);
      });
      log('not a test');
    `,
  };
  const problems = (...rows: readonly string[]): readonly string[] => {
    using _files = copy.addFiles({ ...tests, [file]: rows.join('\n') });
    return invariantsNameTheirTests(copy.root, file).map(({ message }) => message);
  };

  test('existing files, suites and tests are allowed', () => {
    expect(
      problems(
        '| P1 | so it is | `tools/sample.test.ts` |',
        '| P2 | so it is | `tools/sample.test.ts`: "a group", "with %s"; `tools/sample.test.ts`: "a group" |',
      ),
    ).toEqual([]);
  });

  test.for([
    ['no test', '| P1 | so it is | trust me |', 'P1 names no test'],
    [
      'a missing file',
      '| P1 | x | `tools/gone.test.ts` |',
      'P1 names tools/gone.test.ts, which does not exist',
    ],
    [
      'a renamed test',
      '| P1 | x | `tools/sample.test.ts`: "a group", "with %d" |',
      'P1 names "with %d", which is not in tools/sample.test.ts',
    ],
    [
      'a string that is not a test name',
      '| P1 | x | `tools/sample.test.ts`: "not a test" |',
      'P1 names "not a test", which is not in tools/sample.test.ts',
    ],
  ])('a row with %s is refused', ([, row = '', message]) => {
    expect(problems(row)).toEqual([message]);
  });

  test('a repeated number is refused', () => {
    const row = '| P1 | so it is | `tools/sample.test.ts` |';
    expect(problems(row, row)).toEqual(['P1 is not unique']);
  });

  test('a file without invariants is refused', () => {
    expect(() => problems('# Invariants')).toThrow('nothing was checked');
  });
});

describe('import circles', () => {
  const a = 'packages/runtime/src/planted-a.ts';
  const b = 'packages/runtime/src/planted-b.ts';
  const c = 'packages/runtime/src/planted-c.ts';

  test.for([
    ['values', "export { c } from './planted-c.ts';\n"],
    ['a type', "export type { c } from './planted-c.ts';\n"],
    ['a dynamic import', "export const load = () => import('./planted-c.ts');\n"],
  ])('of three files through %s are refused with their path', ([, text = '']) => {
    const files = {
      [a]: "export * from './planted-b.ts';\n",
      [b]: text,
      [c]: "import './planted-a.ts';\nexport const c = 1;\n",
    };
    expect(refused(noImportCircles, files)).toEqual([`${a}: imports itself: ${b} > ${c} > ${a}`]);
  });

  test('through the exports of a package are refused', () => {
    const manifest = { name: '@app/planted', exports: { './a': './src/a.ts' } };
    const files = {
      'packages/planted/package.json': JSON.stringify(manifest),
      'packages/planted/src/a.ts': "export * from './b.ts';\n",
      'packages/planted/src/b.ts': "export type { A } from '@app/planted/a';\n",
    };
    expect(refused(noImportCircles, files)).toEqual([
      'packages/planted/src/a.ts: imports itself: packages/planted/src/b.ts > packages/planted/src/a.ts',
    ]);
  });

  test('a file that two files import is no circle', () => {
    const files = {
      [a]: "export { c } from './planted-b.ts';\nexport type { c as other } from './planted-c.ts';\n",
      [b]: "export { c } from './planted-c.ts';\n",
      [c]: 'export const c = 1;\n',
    };
    expect(refused(noImportCircles, files)).toEqual([]);
  });
});
