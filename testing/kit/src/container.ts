import type { ContainerEngine } from './container-engine.ts';
import { startDependent } from './dependent-process.ts';

export interface ContainerSpec {
  readonly image: string;
  /** Inside the container. */
  readonly port: number;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Publish the port on 127.0.0.1 only: the default is every address of the machine. */
  readonly onLoopback: boolean;
}

export type ContainerReport =
  | { readonly host: string; readonly port: number }
  /** Why there is none, in one line. */
  | { readonly missing: string };

export type StartedContainer = { readonly host: string; readonly port: number } & AsyncDisposable;

/**
 * Starts a container and waits until its port is open; it ends with this process. What keeps it from that, an image
 * that cannot be had first of all, is a value: another way to a server may be open.
 */
export async function startContainer(
  engine: ContainerEngine,
  spec: Omit<ContainerSpec, 'onLoopback'>,
): Promise<StartedContainer | { readonly missing: string }> {
  const report = Promise.withResolvers<ContainerReport>();
  const fullSpec: ContainerSpec = { ...spec, onLoopback: engine.isLocal };
  const child = startDependent({
    script: new URL('./container-process.ts', import.meta.url),
    env: {
      ...process.env,
      DOCKER_HOST: engine.dockerHost,
      ...(engine.isLocal ? { TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' } : {}),
    },
    hear: (line) => {
      report.resolve(JSON.parse(line));
    },
    ended: (how) => {
      report.resolve({ missing: `the process that starts it ended: ${how}` });
    },
  });
  // Not as an argument: every user of the machine can read those, and this has a password.
  child.send(fullSpec);
  const release = child.hold();
  const outcome = await report.promise;
  release();
  if ('missing' in outcome) {
    await child[Symbol.asyncDispose]();
    return outcome;
  }
  return { ...outcome, [Symbol.asyncDispose]: () => child[Symbol.asyncDispose]() };
}
