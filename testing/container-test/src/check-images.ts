import assert from 'node:assert/strict';
import { docker } from './docker.ts';

interface ImageFacts {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly Cmd: readonly string[] | null;
    readonly Entrypoint: readonly string[] | null;
    readonly ExposedPorts?: Readonly<Record<string, unknown>>;
    readonly Healthcheck?: { readonly Test: readonly string[] };
    readonly Labels: Readonly<Record<string, string>> | null;
  };
}

const maxBytesOverBase = 30 * 1024 * 1024;
const baseImage = process.env['NODE_IMAGE'] ?? 'node:24-trixie-slim';

const ownImages = [
  { image: 'live-tracking/processor', ports: ['9090/tcp'], isService: true },
  { image: 'live-tracking/live-gateway', ports: ['8081/tcp', '9090/tcp'], isService: true },
  { image: 'live-tracking/migrate', ports: [], isService: false },
  { image: 'live-tracking/fleet-sim', ports: [], isService: false },
  { image: 'live-tracking/spectator', ports: [], isService: false },
] as const;

/** Checks the configuration and sizes of the images, and prints the sizes. */
export async function checkImages(): Promise<void> {
  const base = await inspect(baseImage);
  for (const { image, ports, isService } of ownImages) {
    const { Size, Config } = await inspect(image);
    const bytesOverBase = Size - base.Size;
    console.log(`container-test:   ${image}: base + ${(bytesOverBase / 1024 / 1024).toFixed(1)} MiB`);
    assert.ok(bytesOverBase <= maxBytesOverBase, `${image} is too large`);
    assert.equal(Config.User, 'node', `${image} must run as node`);
    assert.deepEqual(
      Object.keys(Config.ExposedPorts ?? {}).toSorted(),
      ports,
      `${image} exposes other ports`,
    );
    const [program] = [...(Config.Entrypoint ?? []), ...(Config.Cmd ?? [])];
    // The entry point of the official image execs node. A shell in between would not forward SIGTERM.
    assert.ok(
      ['node', 'docker-entrypoint.sh'].includes(program ?? ''),
      `${image} starts ${program} instead of node`,
    );
    if (isService) {
      assert.match(Config.Healthcheck?.Test.join(' ') ?? '', /METRICS_PORT \|\| 9090.*healthz/u);
      await checkCompiled(image, Config.Cmd ?? []);
    }
    for (const label of ['title', 'description', 'licenses', 'version', 'revision', 'base.name']) {
      assert.ok(Config.Labels?.[`org.opencontainers.image.${label}`], `${image} lacks the label ${label}`);
    }
  }
}

/** Starts the service without settings, which exits at once; all sources must come from the compile cache. */
async function checkCompiled(image: string, command: readonly string[]): Promise<void> {
  const start = `${command.join(' ')} 2>&1; [ $? -eq 78 ]`;
  const options = ['--rm', '--read-only', '--network=none', '--env=NODE_DEBUG_NATIVE=COMPILE_CACHE'];
  const output = await docker(['run', ...options, '--entrypoint=sh', image, '-c', start]);
  assert.match(output, /retrieving transpile cache .*success/u, `${image} has no compile cache`);
  assert.doesNotMatch(output, /no transpile cache/u, `${image} has an incomplete compile cache`);
}

async function inspect(image: string): Promise<ImageFacts> {
  const [facts]: readonly ImageFacts[] = JSON.parse(await docker(['image', 'inspect', image]));
  assert.ok(facts, `image ${image} does not exist`);
  return facts;
}
