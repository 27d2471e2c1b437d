/**
 * Starts one container for one parent and removes it with it. In a process of its own, whose lifeline does what
 * testcontainers' reaper does, without the image and the privileges that the reaper needs.
 */
import { GenericContainer, getContainerRuntimeClient, type StartedTestContainer } from 'testcontainers';
import type { ContainerReport, ContainerSpec } from './container.ts';
import { holdLifeline, tellParent } from './lifeline.ts';

// A first pull of the image included.
const startLimitMs = 180_000;

class LoopbackContainer extends GenericContainer {
  protected override async beforeContainerCreated(): Promise<void> {
    const bindings: Readonly<Record<string, { HostIp?: string }[]>> = this.hostConfig.PortBindings ?? {};
    for (const binding of Object.values(bindings).flat()) binding.HostIp = '127.0.0.1';
  }
}

let starting: Promise<StartedTestContainer | undefined> | undefined;

holdLifeline({
  hear: (line) => {
    starting ??= start(JSON.parse(line));
  },
  end: async () => {
    await (await starting)?.stop({ timeout: 1000 });
  },
  limitMs: 30_000,
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
      .withStartupTimeout(startLimitMs)
      .start();
    report({ host: container.getHost(), port: container.getMappedPort(spec.port) });
    return container;
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
    report({ missing: reason });
    return undefined;
  }
}

/** Testcontainers goes on to the next engine when the one that it was told does not work. */
async function refuseOtherEngine(dockerHost: string): Promise<void> {
  const { hostname, pathname } = new URL(dockerHost);
  const { container } = await getContainerRuntimeClient();
  const { modem } = container.dockerode;
  const isWanted =
    hostname === '' ? Reflect.get(modem, 'socketPath') === pathname : Reflect.get(modem, 'host') === hostname;
  if (!isWanted) throw new Error(`the engine at ${dockerHost} answers its ping, and then fails`);
}

function report(outcome: ContainerReport): void {
  tellParent(outcome);
}
