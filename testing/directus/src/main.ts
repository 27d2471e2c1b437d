import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { runTool } from '@app/runtime/run-tool';
import { installDirectus } from './install-directus.ts';
import { directusVersions, isInstalled } from './versions.ts';

const usage = `usage: ./run directus-test [arguments of vitest]

Installs versions of Directus once (three minutes and 800 MB each), and tests the gateway with them.
Exit codes: 0 passed, other than 0 failed.`;

process.exitCode = await runTool({
  name: 'directus-test',
  usage,
  read: () => {
    const args = process.argv.slice(2);
    return args.includes('--help') || args.includes('-h') ? undefined : args;
  },
  run: main,
});

/** Installs what is missing of each version, and runs the tests of this package. */
async function main(args: readonly string[]): Promise<number> {
  for (const version of directusVersions) {
    if (isInstalled(version)) continue;
    console.log(`installing Directus ${version}`);
    await installDirectus(version);
  }
  const runTests = fileURLToPath(new URL('../../../tools/repo/src/run-tests/main.ts', import.meta.url));
  const child = spawn(process.execPath, [runTests, 'testing/directus', ...args], { stdio: 'inherit' });
  await once(child, 'exit');
  return child.exitCode ?? 1;
}
