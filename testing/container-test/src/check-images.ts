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

const largestBeyondBaseBytes = 30 * 1024 * 1024;
const baseImage = process.env['NODE_IMAGE'] ?? 'node:24-trixie-slim';

const ownImages = [
  { image: 'live-tracking/processor', ports: ['9090/tcp'], isService: true },
  { image: 'live-tracking/live-gateway', ports: ['8081/tcp', '9090/tcp'], isService: true },
  { image: 'live-tracking/migrate', ports: [], isService: false },
  { image: 'live-tracking/fleet-sim', ports: [], isService: false },
  { image: 'live-tracking/spectator', ports: [], isService: false },
] as const;

/** What can be said of the images without running them. Says their sizes. */
export async function checkImages(): Promise<void> {
  const base = await inspect(baseImage);
  for (const { image, ports, isService } of ownImages) {
    const { Size, Config } = await inspect(image);
    const beyondBaseBytes = Size - base.Size;
    console.log(`container-test:   ${image}: base + ${(beyondBaseBytes / 1024 / 1024).toFixed(1)} MiB`);
    assert.ok(beyondBaseBytes <= largestBeyondBaseBytes, `${image} is too large`);
    assert.equal(Config.User, 'node', `${image} runs as a user without rights`);
    assert.deepEqual(Object.keys(Config.ExposedPorts ?? {}).toSorted(), ports, `${image} exposes its ports`);
    const [program] = [...(Config.Entrypoint ?? []), ...(Config.Cmd ?? [])];
    // The official image's entry point becomes node; no shell may stand between, which would keep SIGTERM.
    assert.ok(
      ['node', 'docker-entrypoint.sh'].includes(program ?? ''),
      `${image} starts node, not ${program}`,
    );
    if (isService) {
      assert.match(Config.Healthcheck?.Test.join(' ') ?? '', /METRICS_PORT \|\| 9090.*healthz/u);
      await checkCompiled(image, Config.Cmd ?? []);
    }
    for (const label of ['title', 'description', 'licenses', 'version', 'revision', 'base.name']) {
      assert.ok(Config.Labels?.[`org.opencontainers.image.${label}`], `${image} has the label ${label}`);
    }
  }
}

/** All sources are found compiled at the start, which ends at once for want of settings. */
async function checkCompiled(image: string, command: readonly string[]): Promise<void> {
  const start = `${command.join(' ')} 2>&1; [ $? -eq 78 ]`;
  const bounds = ['--rm', '--read-only', '--network=none', '--env=NODE_DEBUG_NATIVE=COMPILE_CACHE'];
  const said = await docker(['run', ...bounds, '--entrypoint=sh', image, '-c', start]);
  assert.match(said, /retrieving transpile cache .*success/u, `${image} has no compiled sources`);
  assert.doesNotMatch(said, /no transpile cache/u, `${image} strips types at its start`);
}

async function inspect(image: string): Promise<ImageFacts> {
  const [facts]: readonly ImageFacts[] = JSON.parse(await docker(['image', 'inspect', image]));
  assert.ok(facts, `there is no image ${image}`);
  return facts;
}
