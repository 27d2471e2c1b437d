import type { ContainerEngine } from './container-engine.ts';
import { Program } from './program.ts';

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
  /** Why it could not be started, in one line. */
  | { readonly missing: string };

export type StartedContainer = { readonly host: string; readonly port: number } & AsyncDisposable;

/**
 * Starts a container and waits until its port is open; it ends with this process. A reason why it cannot be started,
 * such as an image that cannot be pulled, is a value: the caller may have another source.
 */
export async function startContainer(
  engine: ContainerEngine,
  spec: Omit<ContainerSpec, 'onLoopback'>,
): Promise<StartedContainer | { readonly missing: string }> {
  await using stack = new AsyncDisposableStack();
  const program = stack.use(
    new Program({
      main: new URL('container-process.ts', import.meta.url),
      env: {
        ...process.env,
        DOCKER_HOST: engine.dockerHost,
        ...(engine.isLocal ? { TESTCONTAINERS_HOST_OVERRIDE: '127.0.0.1' } : {}),
      },
      isBackground: true,
    }),
  );
  // Not as an argument: every user of the machine can read those, and this has a password.
  const fullSpec: ContainerSpec = { ...spec, onLoopback: engine.isLocal };
  program.send(fullSpec);
  const report = await program
    .line(({ msg }): ContainerReport => JSON.parse(msg))
    .catch((error: unknown): ContainerReport => ({ missing: String(error) }));
  if ('missing' in report) return report;
  const owned = stack.move();
  return { ...report, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
