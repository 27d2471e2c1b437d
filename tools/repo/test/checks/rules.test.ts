import { afterAll, describe, expect, test } from 'vitest';
import { loopReachesNoDomain } from '../../src/checks/loop-reaches-no-domain.ts';
import { invariantsNameTheirTests } from '../../src/checks/invariants-name-their-tests.ts';
import { noImportCircles } from '../../src/checks/no-import-circles.ts';
import type { Rule } from '../../src/checks/problem.ts';
import { RepositoryCopy } from '../../src/checks/repository-copy.ts';
import { sharedIsPure } from '../../src/checks/shared-is-pure.ts';
import { socketLibraryStaysInItsRooms } from '../../src/checks/socket-library-stays-in-its-rooms.ts';
import { versionsComeFromTheCatalog } from '../../src/checks/versions-come-from-the-catalog.ts';

const copy = new RepositoryCopy();
afterAll(() => copy[Symbol.dispose]());

function refused(rule: Rule, files: Readonly<Record<string, string>>): readonly string[] {
  using _planted = copy.plant(files);
  return rule(copy.root).map(({ file, message }) => `${file}: ${message}`);
}

describe('each rule holds in this repository, so that what it refuses below is what was planted', () => {
  test.for([
    loopReachesNoDomain,
    sharedIsPure,
    socketLibraryStaysInItsRooms,
    versionsComeFromTheCatalog,
    invariantsNameTheirTests,
    noImportCircles,
  ])('%o', (rule) => {
    expect(rule(copy.root)).toEqual([]);
  });
});

describe('only main.ts reaches the domain', () => {
  const domain = { 'services/processor/src/domain/planted.ts': 'export const planted = 1;\n' };
  const loop = 'services/processor/src/pipeline/planted.ts';

  test.for([
    ['a direct import', { [loop]: "export { planted } from '../domain/planted.ts';\n" }],
    ['a type', { [loop]: "export type P = typeof import('../domain/planted.ts');\n" }],
    ['a dynamic import', { [loop]: "export const late = () => import('../domain/planted.ts');\n" }],
    [
      're-exports of two files between',
      {
        'services/processor/src/planted-relay.ts': "export * from './planted-second.ts';\n",
        'services/processor/src/planted-second.ts':
          "export { planted as harmless } from './domain/planted.ts';\n",
        [loop]: "import { harmless } from '../planted-relay.ts';\nexport const twice = harmless * 2;\n",
      },
    ],
  ] as const)('through %s is refused', ([, files]) => {
    expect(refused(loopReachesNoDomain, { ...domain, ...files })).toEqual([
      expect.stringMatching(
        /^services\/processor\/src\/domain\/planted\.ts: loaded outside domain.*Imported via/,
      ),
    ]);
  });

  test("Node's own domain.d.ts is not mistaken for it", () => {
    const files = {
      [loop]: '/// <reference types="node" />\nexport type D = import(\'node:domain\').Domain;\n',
    };
    expect(refused(loopReachesNoDomain, files)).toEqual([]);
  });
});

describe('uWebSockets.js stays in its rooms', () => {
  const outside = 'services/live-gateway/src/feed/planted.ts';
  const inside = 'services/live-gateway/src/server/planted.ts';

  test.for([
    ['an import', "import { App } from 'uWebSockets.js';\nexport const app = App();\n"],
    ['a type', "export type Socket = import('uWebSockets.js').WebSocket<unknown>;\n"],
    [
      'a require',
      "import { createRequire } from 'node:module';\ncreateRequire(import.meta.url)('uWebSockets.js');\n",
    ],
  ])('%s outside of them is refused', ([, text]) => {
    expect(refused(socketLibraryStaysInItsRooms, { [outside]: text ?? '' })).toEqual([
      expect.stringMatching(/feed\/planted\.ts: knows uWebSockets\.js/),
    ]);
  });

  test.for([
    ['export … from', "export { App } from 'uWebSockets.js';\n"],
    ['export * from', "export * from 'uWebSockets.js';\n"],
    ['an imported name', "import { App } from 'uWebSockets.js';\nexport { App as server };\n"],
    ['an imported type', "import type { WebSocket } from 'uWebSockets.js';\nexport type { WebSocket };\n"],
  ])('a room that hands it on by %s is refused', ([, text]) => {
    expect(refused(socketLibraryStaysInItsRooms, { [inside]: text ?? '' })).toEqual([
      expect.stringMatching(/server\/planted\.ts: hands on a part of uWebSockets\.js/),
    ]);
  });

  test('a room may use it', () => {
    const text = "import { App } from 'uWebSockets.js';\nexport const listen = () => App();\n";
    expect(refused(socketLibraryStaysInItsRooms, { [inside]: text })).toEqual([]);
  });
});

describe('@app/shared is pure', () => {
  const source = 'packages/shared/src/planted.ts';

  test.for([
    ['a library', "export { Redis } from 'ioredis';\n", /planted\.ts: imports ioredis/],
    ['a part of Node', "export { readFileSync } from 'node:fs';\n", /planted\.ts: imports node:fs/],
    ['a dynamic import', "export const fs = () => import('node:fs');\n", /planted\.ts: imports node:fs/],
    [
      'a file outside of it',
      "export * from '../../runtime/src/retry.ts';\n",
      /planted\.ts: imports \.\.\/\.\./,
    ],
    ['a global of Node', "export const bytes = Buffer.from('a');\n", /Cannot find name 'Buffer'/],
  ] as const)('%s is refused', ([, text, reason]) => {
    expect(refused(sharedIsPure, { [source]: text })).toContainEqual(expect.stringMatching(reason));
  });

  test('a file that takes from its own tests is refused', () => {
    const files = {
      [source]: "export { planted } from './planted.test.ts';\n",
      'packages/shared/src/planted.test.ts': 'export const planted = 1;\n',
    };
    expect(refused(sharedIsPure, files)).toContainEqual(
      expect.stringMatching(/imports \.\/planted\.test\.ts/),
    );
  });

  test('zod, its own files, and a test that uses Node are let through', () => {
    const files = {
      [source]: "import { z } from 'zod';\nexport const planted = z.string();\n",
      'packages/shared/src/planted.test.ts':
        "import { readFileSync } from 'node:fs';\nexport default readFileSync;\n",
    };
    expect(refused(sharedIsPure, files)).toEqual([]);
  });
});

describe('versions come from the catalog', () => {
  test.for([
    ['a literal version', { dependencies: { ws: '8.23.0' } }, /ws is 8\.23\.0; write catalog:/],
    ['a range', { devDependencies: { ws: '^8.0.0' } }, /ws is \^8\.0\.0; write catalog:/],
    ['a git address', { optionalDependencies: { ws: 'github:websockets/ws' } }, /write catalog:/],
    [
      'a version for a package of our own',
      { dependencies: { '@app/shared': '0.1.0' } },
      /write workspace:\*/,
    ],
  ] as const)('%s is refused', ([, manifest, reason]) => {
    const files = { 'packages/planted/package.json': JSON.stringify(manifest) };
    expect(refused(versionsComeFromTheCatalog, files)).toEqual([expect.stringMatching(reason)]);
  });

  test('catalog: and workspace:* are let through', () => {
    const manifest = { dependencies: { ws: 'catalog:', '@app/shared': 'workspace:*' } };
    const files = { 'packages/planted/package.json': JSON.stringify(manifest) };
    expect(refused(versionsComeFromTheCatalog, files)).toEqual([]);
  });
});

describe('invariants name their tests', () => {
  const file = 'docs/planted.md';
  const tests = {
    'tools/planted.test.ts': `
      describe.concurrent('a group', () => {
        test.skipIf(true)('holds, "always"', () => undefined);
        test.for([1, 2])('with %s', () => undefined);
      });
      log('not a test');
    `,
  };
  const problems = (...rows: readonly string[]): readonly string[] => {
    using _planted = copy.plant({ ...tests, [file]: rows.join('\n') });
    return invariantsNameTheirTests(copy.root, file).map(({ message }) => message);
  };

  test('files, groups and tests that are there are let through', () => {
    expect(
      problems(
        '| P1 | so it is | `tools/planted.test.ts` |',
        '| P2 | so it is | `tools/planted.test.ts`: "a group", "with %s"; `tools/planted.test.ts`: "a group" |',
      ),
    ).toEqual([]);
  });

  test.for([
    ['no test', '| P1 | so it is | trust me |', 'P1 names no test'],
    [
      'a file that is gone',
      '| P1 | x | `tools/gone.test.ts` |',
      'P1 names tools/gone.test.ts, which is not there',
    ],
    [
      'a test that has another name now',
      '| P1 | x | `tools/planted.test.ts`: "a group", "with %d" |',
      'P1 names "with %d", which is not in tools/planted.test.ts',
    ],
    [
      'a text that is no test',
      '| P1 | x | `tools/planted.test.ts`: "not a test" |',
      'P1 names "not a test", which is not in tools/planted.test.ts',
    ],
  ])('a row with %s is refused', ([, row = '', message]) => {
    expect(problems(row)).toEqual([message]);
  });

  test('a number that stands for two sentences is refused', () => {
    const row = '| P1 | so it is | `tools/planted.test.ts` |';
    expect(problems(row, row)).toEqual(['P1 is there twice']);
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
