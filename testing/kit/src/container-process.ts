/**
 * Starts one container for one parent and removes it when the parent ends: testcontainers' reaper without the image and
 * the privileges that it needs.
 */
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer } from 'testcontainers';
import type { ContainerReport, ContainerSpec } from './container.ts';
import { cleanUpWithParent, sendToParent } from './parent-pipe.ts';

// Includes a first pull of the image.
const startTimeoutMs = 180_000;

class LoopbackContainer extends GenericContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    const bindings: Readonly<Record<string, { HostIp?: string }[]>> = this.hostConfig.PortBindings ?? {};
    for (const binding of Object.values(bindings).flat()) binding.HostIp = '127.0.0.1';
  }
}

let starting: Promise<StartedTestContainer | undefined> | undefined;

cleanUpWithParent({
  onLine: (line) => {
    starting ??= start(JSON.parse(line));
  },
  cleanUp: async () => {
    await (await starting)?.stop({ timeout: 1000 });
  },
  timeoutMs: 30_000,
});

async function start(spec: ContainerSpec): Promise<StartedTestContainer | undefined> {
  const Container = spec.onLoopback ? LoopbackContainer : GenericContainer;
  try {
    await refuseOtherEngine(process.env['DOCKER_HOST'] ?? '');
    const container = await new Container(spec.image)
      .withExposedPorts(spec.port)
      .withEnvironment(spec.environment)
      .withCommand([...spec.command])
      .withAutoCleanup(false)
      .withStartupTimeout(startTimeoutMs)
      .start();
    report({ host: container.getHost(), port: container.getMappedPort(spec.port) });
    return container;
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    report({ missing: reason });
    return undefined;
  }
}

/** Testcontainers falls back to another engine when the given one does not work. */
async function refuseOtherEngine(dockerHost: string): Promise<void> {
  const { hostname, pathname } = new URL(dockerHost);
  const { container } = await getContainerRuntimeClient();
  const { modem } = container.dockerode;
  const isWanted =
    hostname === '' ? Reflect.get(modem, 'socketPath') === pathname : Reflect.get(modem, 'host') === hostname;
  if (!isWanted) throw new Error(`the engine at ${dockerHost} answers its ping but does not work`);
}

function report(outcome: ContainerReport): void {
  sendToParent(outcome);
}
