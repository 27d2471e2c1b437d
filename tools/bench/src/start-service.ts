import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { endWithParent, type Program, startProgram } from './program.ts';

type Service = 'processor' | 'live-gateway';

const compiled = new Map<Service, string>();

/** Starts the real service as its image does: with the same options of Node, and sources that are compiled already. */
export function startService(service: Service, env: Readonly<Record<string, string>>): Program {
  const sources = compiled.get(service) ?? compileSources(service);
  compiled.set(service, sources);
  return startProgram(mainOf(service), { NODE_COMPILE_CACHE: sources, ...env }, nodeOptionsOfImage(service));
}

/** Node's options in the command of a service's image: the memory that it may take costs or saves CPU. */
export function nodeOptionsOfImage(service: Service): readonly string[] {
  const dockerfile = readFileSync(new URL('Dockerfile', folderOf(service)), 'utf8');
  const command: unknown = JSON.parse(/^CMD (\[.*\])$/mu.exec(dockerfile)?.[1] ?? 'null');
  if (!Array.isArray(command)) throw new Error(`the Dockerfile of ${service} has no CMD in JSON`);
  return command.filter((word): word is string => typeof word === 'string' && word.startsWith('--'));
}

/** As when the image is built: started without settings, the service ends when all of it is loaded. */
function compileSources(service: Service): string {
  const directory = mkdtempSync(join(tmpdir(), `bench-${service}-`));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const command = [...endWithParent, ...nodeOptionsOfImage(service), fileURLToPath(mainOf(service))];
  const { status } = spawnSync(process.execPath, command, {
    env: { NODE_COMPILE_CACHE: directory },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  if (status !== 78) throw new Error(`${service} ended with ${status}, not for want of settings`);
  return directory;
}

function mainOf(service: Service): URL {
  return new URL('src/main.ts', folderOf(service));
}

function folderOf(service: Service): URL {
  return new URL(`../../../services/${service}/`, import.meta.url);
}
