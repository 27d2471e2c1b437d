import { z } from 'zod';
import type { Manifest } from './render-manifests.ts';

const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.string() }) });
const container = z.object({
  name: z.string(),
  image: z.string(),
  command: z.array(z.string()).default([]),
  ports: z.array(z.object({ name: z.string(), containerPort: z.number() })).default([]),
  envFrom: z
    .array(z.object({ configMapRef: z.object({ name: z.string(), optional: z.boolean().default(false) }) }))
    .default([]),
  env: z
    .array(z.object({ name: z.string(), value: z.string().optional(), valueFrom: z.unknown().optional() }))
    .default([]),
  livenessProbe: probe.optional(),
  readinessProbe: probe.optional(),
  startupProbe: probe.optional(),
  resources: z.object({
    requests: z.object({ cpu: z.string(), memory: z.string() }),
    limits: z.object({ cpu: z.string(), memory: z.string() }),
  }),
  securityContext: z.unknown(),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string(), readOnly: z.boolean() })),
});
const template = z.object({
  metadata: z.object({ labels: z.record(z.string(), z.string()) }),
  spec: z.object({
    automountServiceAccountToken: z.boolean(),
    serviceAccountName: z.string(),
    terminationGracePeriodSeconds: z.number(),
    securityContext: z.unknown(),
    containers: z.tuple([container]),
    volumes: z.tuple([z.object({ name: z.string(), secret: z.object({ secretName: z.string() }) })]),
  }),
});
export const resourceMetadata = z.object({ name: z.string() });
export const workload = z.union([
  z.object({
    kind: z.enum(['Deployment', 'StatefulSet', 'Job']),
    metadata: resourceMetadata,
    spec: z.object({ replicas: z.number().optional(), template }),
  }),
  z
    .object({
      kind: z.literal('CronJob'),
      metadata: resourceMetadata,
      spec: z.object({ jobTemplate: z.object({ spec: z.object({ template }) }) }),
    })
    .transform(({ spec, ...cronJob }) => ({
      ...cronJob,
      spec: { ...spec.jobTemplate.spec, replicas: undefined },
    })),
]);
type Workload = z.output<typeof workload>;
const configMap = z.object({
  kind: z.literal('ConfigMap'),
  metadata: resourceMetadata,
  data: z.record(z.string(), z.string()),
});

/** The manifests of one kind. */
export function only<T>(schema: z.ZodType<T>, manifests: readonly Manifest[]): readonly T[] {
  return manifests.flatMap((manifest) => {
    const parsed = schema.safeParse(manifest);
    return parsed.success ? [parsed.data] : [];
  });
}

export const fromKubernetes = 'from Kubernetes';

/** The environment variables that the manifests give a pod's process. */
export function environment(
  manifests: readonly Manifest[],
  { spec }: Workload,
): Readonly<Record<string, string>> {
  const [{ env, envFrom }] = spec.template.spec.containers;
  const maps = only(configMap, manifests);
  return Object.fromEntries([
    ...envFrom.flatMap(({ configMapRef }) => {
      const map = maps.find(({ metadata }) => metadata.name === configMapRef.name);
      if (map === undefined && configMapRef.optional) return [];
      if (map === undefined) throw new Error(`there is no config map ${configMapRef.name}`);
      return Object.entries(map.data);
    }),
    ...env.map(({ name, value }) => [name, value ?? fromKubernetes]),
  ]);
}

export function workloadNamed(manifests: readonly Manifest[], name: string): Workload {
  const found = only(workload, manifests).find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${name}`);
  return found;
}
