import { execFileSync } from 'node:child_process';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { repositoryPath } from '../../../src/deploy/repository.ts';

const manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
});

export type Manifest = z.output<typeof manifest>;

/** The manifests that `kubectl apply -k` would apply; `folder` is relative to deploy/k8s. */
export function renderManifests(kubectl: string, folder: string): readonly Manifest[] {
  const text = execFileSync(kubectl, ['kustomize', repositoryPath(`deploy/k8s/${folder}`)], {
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
