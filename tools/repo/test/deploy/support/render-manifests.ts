import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { z } from 'zod';
import { readRepositoryFile, repositoryPath } from '../../../src/deploy/repository.ts';

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

export type Manifest = z.output<typeof manifest>;

const kustomization = z.looseObject({
  components: z.array(z.string()),
  configMapGenerator: z.array(z.looseObject({ name: z.string() })),
});

/** The manifests of overlays/prod with the component `prune`, as the runbook says to add it. */
export function renderWithPrune(kubectl: string, settings: readonly string[]): readonly Manifest[] {
  const file = 'k8s/overlays/prod/kustomization.yaml';
  const shipped = kustomization.parse(parse(readRepositoryFile(`deploy/${file}`)));
  const folder = mkdtempSync(join(tmpdir(), 'deploy-'));
  try {
    cpSync(repositoryPath('deploy'), folder, { recursive: true });
    const added = {
      ...shipped,
      components: [...shipped.components, '../../components/prune'],
      configMapGenerator: [
        ...shipped.configMapGenerator,
        ...(settings.length > 0 ? [{ name: 'prune', literals: settings }] : []),
      ],
    };
    writeFileSync(join(folder, file), stringify(added));
    return renderManifests(kubectl, 'overlays/prod', folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The manifests that `kubectl apply -k` would apply; `folder` is relative to k8s in `deploy`. */
export function renderManifests(
  kubectl: string,
  folder: string,
  deploy = repositoryPath('deploy'),
): readonly Manifest[] {
  const text = execFileSync(kubectl, ['kustomize', join(deploy, 'k8s', folder)], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return parseAllDocuments(text).map((document) => withoutLineBreaks(manifest.parse(document.toJS())));
}

/** kustomize breaks long base64 into lines, which Kubernetes accepts but the schema's pattern refuses. */
function withoutLineBreaks(object: Manifest): Manifest {
  const secret = z
    .object({ kind: z.literal('Secret'), data: z.record(z.string(), z.string()) })
    .safeParse(object);
  if (!secret.success) return object;
  const data = Object.entries(secret.data.data).map(([key, value]) => [key, value.replaceAll(/\s/gu, '')]);
  return { ...object, data: Object.fromEntries(data) };
}
