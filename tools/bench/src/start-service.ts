import { rmSync } from 'node:fs';
import { compileSources, Service, type ServiceName } from '@app/test-kit/service';

const compiled = new Map<ServiceName, Promise<string>>();

/** Starts the real service as its image does: with the same options of Node and compiled sources. */
export async function startService(
  name: ServiceName,
  env: Readonly<Record<string, string>>,
): Promise<Service> {
  const folder = compiled.get(name) ?? compile(name);
  compiled.set(name, folder);
  return new Service(name, { env: { NODE_COMPILE_CACHE: await folder, ...env } });
}

async function compile(name: ServiceName): Promise<string> {
  const { folder } = await compileSources(name);
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
