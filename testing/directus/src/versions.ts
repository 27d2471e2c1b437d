import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The versions of Directus that are tested: the last of 11, and that of docker-compose.yml. */
export const directusVersions = ['11.17.4', '12.4.0'] as const;

export type DirectusVersion = (typeof directusVersions)[number];

export function folderOf(version: DirectusVersion): string {
  return fileURLToPath(new URL(`../../../.toolchain/directus-${version}/`, import.meta.url));
}

/** The program of an installed version. */
export function cliOf(version: DirectusVersion): string {
  return `${folderOf(version)}node_modules/directus/cli.js`;
}

export function isInstalled(version: DirectusVersion): boolean {
  return existsSync(cliOf(version));
}
