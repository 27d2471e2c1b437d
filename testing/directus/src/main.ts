import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { installDirectus } from './install-directus.ts';
import { directusVersions, isInstalled } from './versions.ts';

/** Installs what is missing of each version, and runs the tests of this package. */
for (const version of directusVersions) {
  if (isInstalled(version)) continue;
  console.log(`installing Directus ${version}`);
  await installDirectus(version);
}
const runTests = fileURLToPath(new URL('../../../tools/repo/src/run-tests/main.ts', import.meta.url));
const child = spawn(process.execPath, [runTests, 'testing/directus', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
await once(child, 'exit');
process.exitCode = child.exitCode ?? 1;
