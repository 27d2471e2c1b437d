import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onlyMainImportsDomain } from './only-main-imports-domain.ts';
import { invariantsNameTheirTests } from './invariants-name-their-tests.ts';
import { noImportCircles } from './no-import-circles.ts';
import type { Rule } from './problem.ts';
import { sharedIsPure } from './shared-is-pure.ts';
import { uWebSocketsOnlyInServerAndConnection } from './uwebsockets-only-in-server-and-connection.ts';
import { versionsComeFromTheCatalog } from './versions-come-from-the-catalog.ts';

const rules: readonly Rule[] = [
  versionsComeFromTheCatalog,
  sharedIsPure,
  onlyMainImportsDomain,
  uWebSocketsOnlyInServerAndConnection,
  invariantsNameTheirTests,
  noImportCircles,
];

const root = realpathSync(process.argv[2] ?? fileURLToPath(new URL('../../../..', import.meta.url)));
const problems = rules.flatMap((rule) => rule(root));
for (const { file, message } of problems) console.error(`${file}: ${message}`);
process.exitCode = problems.length === 0 ? 0 : 1;
