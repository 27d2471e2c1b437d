import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { pathToFileURL } from 'node:url';
import { collectDefaultMetrics, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import { z } from 'zod';

export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
}

/**
 * Registers `build_info{service,version,commit,instance_id}`, always 1, and Node's own metrics. Two processes with one
 * instance id show as two series with one `instance_id`.
 */
export function registerBuildInfo(registry: Registry, service: string, instanceId: string): void {
  const gauge = new Gauge({
    name: 'build_info',
    help: 'Version and commit of this build, and the instance id of the process; always 1.',
    labelNames: ['service', 'version', 'commit', 'instance_id'],
    registers: [registry],
  });
  gauge.set({ service, ...readBuildInfo(), instance_id: instanceId }, 1);
  collectDefaultMetrics({ register: registry });
}

/**
 * The version in the package.json nearest to the started program, and the commit in `BUILD_COMMIT` or `COMMIT`;
 * `unknown` if missing.
 */
export function readBuildInfo(
  env: NodeJS.ProcessEnv = process.env,
  program: string = process.argv[1] ?? '',
): BuildInfo {
  return {
    version: readVersion(program) ?? 'unknown',
    commit: env['BUILD_COMMIT'] || env['COMMIT'] || 'unknown',
  };
}

function readVersion(program: string): string | undefined {
  try {
    const path = findPackageJSON('.', pathToFileURL(program));
    return path === undefined
      ? undefined
      : z.object({ version: z.string() }).parse(JSON.parse(readFileSync(path, 'utf8'))).version;
  } catch {
    // A program outside of any package has no version, and must still run.
    return undefined;
  }
}
