import { execFile } from 'node:child_process';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { folderOf, type DirectusVersion } from './versions.ts';

/**
 * Directus of 11 depends on isolated-vm 5, which has to be compiled for Node 24. 6 has the program in its package, so
 * that no install script has to run. It runs scripts of flows, which nobody uses here.
 */
const isolatedVm = '6.1.2';

/** Installs Directus from npm into `.toolchain/directus-<version>`: about three minutes and 800 MB. */
export async function installDirectus(version: DirectusVersion): Promise<void> {
  const folder = folderOf(version);
  const unfinished = `${folder.replace(/\/$/u, '')}.unfinished`;
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { recursive: true });
  const manifest = {
    private: true,
    dependencies: { directus: version, 'isolated-vm': isolatedVm },
    overrides: { 'isolated-vm': isolatedVm },
  };
  await writeFile(`${unfinished}/package.json`, JSON.stringify(manifest));
  const flags = ['--ignore-scripts', '--omit=dev', '--no-audit', '--no-fund', '--loglevel=error'];
  await promisify(execFile)('npm', ['install', ...flags], { cwd: unfinished, maxBuffer: 16 * 2 ** 20 });
  await rm(folder, { recursive: true, force: true });
  await rename(unfinished, folder);
}
