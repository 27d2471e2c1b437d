import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { loopReachesNoDomain } from './loop-reaches-no-domain.ts';
import { invariantsNameTheirTests } from './invariants-name-their-tests.ts';
import { noImportCircles } from './no-import-circles.ts';
import type { Rule } from './problem.ts';
import { sharedIsPure } from './shared-is-pure.ts';
import { socketLibraryStaysInItsRooms } from './socket-library-stays-in-its-rooms.ts';
import { versionsComeFromTheCatalog } from './versions-come-from-the-catalog.ts';

const rules: readonly Rule[] = [
  versionsComeFromTheCatalog,
  sharedIsPure,
  loopReachesNoDomain,
  socketLibraryStaysInItsRooms,
  invariantsNameTheirTests,
  noImportCircles,
];

const root = realpathSync(process.argv[2] ?? fileURLToPath(new URL('../../../..', import.meta.url)));
const problems = rules.flatMap((rule) => rule(root));
for (const { file, message } of problems) console.error(`${file}: ${message}`);
process.exitCode = problems.length === 0 ? 0 : 1;
