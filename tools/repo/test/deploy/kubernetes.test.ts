import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gatewaySettings } from '@app/live-gateway/config';
import { pruneSettings } from '@app/migrate/prune-settings';
import { migrateSettings } from '@app/migrate/settings';
import { processorSettings } from '@app/processor/config';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { readRepositoryFile, repositoryPath } from '../../src/deploy/repository.ts';
import { findProgram } from './support/find-program.ts';
import { asTypedModule, validateBySchema } from './support/kubernetes-models.ts';
import { type Manifest, renderManifests, renderWithPrune } from './support/render-manifests.ts';
import {
  environment,
  fromKubernetes,
  only,
  resourceMetadata,
  workload,
  workloadNamed,
} from './support/workloads.ts';

const kubectl = findProgram('kubectl');
const runbook = readRepositoryFile('docs/operations.md');
const overlays = ['dev', 'prod', 'prod with prune'] as const;

const settingsOf = {
  migrate: migrateSettings.shape,
  processor: processorSettings.shape,
  'live-gateway': gatewaySettings.shape,
  prune: pruneSettings.shape,
} as const;
const services = ['migrate', 'processor', 'live-gateway'] as const;

function render(kubectlPath: string, overlay: (typeof overlays)[number]): readonly Manifest[] {
  return overlay === 'prod with prune'
    ? renderWithPrune(kubectlPath, ['PRUNE_KEEP_DAYS=180'])
    : renderManifests(kubectlPath, `overlays/${overlay}`);
}

describe.skipIf(kubectl === undefined)('the manifests', () => {
  const rendered = Object.fromEntries(
    overlays.map((overlay) => [overlay, kubectl === undefined ? [] : render(kubectl, overlay)]),
  );
  const of = (overlay: string): readonly Manifest[] => rendered[overlay] ?? [];

  describe.for(overlays)('of %s', (overlay) => {
    const manifests = of(overlay);
    const names = overlay === 'prod with prune' ? ([...services, 'prune'] as const) : services;

    test('match the schemas of Kubernetes and the custom resources', () => {
      for (const manifest of manifests) {
        expect(() => validateBySchema(manifest), `${manifest.kind} ${manifest.metadata.name}`).not.toThrow();
      }
      expect(manifests.length).toBeGreaterThan(20);
    });

    test('have no unknown field', async () => {
      expect(await compile(asTypedModule(manifests))).toBe('');
    });

    test('name three images, each with an exact version', () => {
      const images = only(workload, manifests).map(({ spec }) => spec.template.spec.containers[0].image);
      expect(images).toHaveLength(names.length);
      expect(new Set(images).size).toBe(3);
      for (const image of images) {
        expect(image).toMatch(/^[\w./-]+(?::\d*[\w.-]+|@sha256:[0-9a-f]{64})$/u);
        expect(image).not.toMatch(/:latest$/u);
      }
    });

    test('limit resources and privileges', () => {
      for (const { metadata: named, spec } of only(workload, manifests)) {
        const pod = spec.template.spec;
        expect(pod.serviceAccountName).toBe(named.name);
        expect(
          manifests.find(({ kind, metadata: { name } }) => kind === 'ServiceAccount' && name === named.name),
        ).toMatchObject({ automountServiceAccountToken: false });
        const [{ resources, securityContext, volumeMounts }] = pod.containers;
        expect(bytesOf(resources.limits.memory)).toBeGreaterThanOrEqual(bytesOf(resources.requests.memory));
        expect(pod.securityContext).toMatchObject({
          runAsNonRoot: true,
          runAsUser: 1000,
          seccompProfile: { type: 'RuntimeDefault' },
        });
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(pod.automountServiceAccountToken).toBe(false);
        expect(volumeMounts.every(({ readOnly }) => readOnly)).toBe(true);
      }
    });

    test.for(names)('give the %s only known settings and all required ones', (name) => {
      const given = environment(manifests, workloadNamed(manifests, name));
      const settings: Readonly<Record<string, z.ZodType>> = settingsOf[name];
      const named = new Set(Object.keys(given).map((setting) => setting.replace(/_FILE$/u, '')));
      expect([...named].filter((setting) => !Object.hasOwn(settings, setting))).toEqual([]);
      const needed = Object.entries(settings).filter(([, schema]) => !schema.safeParse(undefined).success);
      expect(needed.map(([setting]) => setting).filter((setting) => !named.has(setting))).toEqual([]);
      const refused = Object.entries(given)
        .filter(([setting, value]) => !setting.endsWith('_FILE') && value !== fromKubernetes)
        .filter(([setting, value]) => settings[setting]?.safeParse(value).success !== true);
      expect(refused).toEqual([]);
    });

    test.for(names)('mount the secrets of the %s as files', (name) => {
      const { spec } = workloadNamed(manifests, name);
      const [{ env, volumeMounts }] = spec.template.spec.containers;
      const files = env.filter(({ name: variable }) => variable.endsWith('_FILE'));
      expect(files.length).toBeGreaterThan(0);
      for (const { name: variable, value } of files)
        expect(value).toBe(`/run/secrets/${name}/${variable.replace(/_FILE$/u, '')}`);
      expect(volumeMounts).toMatchObject([{ name: 'secrets', mountPath: `/run/secrets/${name}` }]);
      const [{ secret }] = spec.template.spec.volumes;
      const generated = manifests
        .filter(({ kind }) => kind === 'Secret')
        .map(({ metadata }) => metadata.name);
      expect(overlay === 'dev' ? generated : [...names]).toContain(secret.secretName);
    });

    test('use the ports of the services for probes, scrapes and viewers', () => {
      const metrics = processorSettings.shape.METRICS_PORT.parse(undefined);
      const ws = gatewaySettings.shape.LIVE_WS_PORT.parse(undefined);
      const portsOf = (name: string) => workloadNamed(manifests, name).spec.template.spec.containers[0].ports;
      expect(portsOf('processor')).toEqual([{ name: 'metrics', containerPort: metrics }]);
      expect(portsOf('live-gateway')).toEqual([
        { name: 'ws', containerPort: ws },
        { name: 'metrics', containerPort: metrics },
      ]);
      for (const name of ['processor', 'live-gateway']) {
        const [pod] = workloadNamed(manifests, name).spec.template.spec.containers;
        expect(pod.livenessProbe?.httpGet).toEqual({ path: '/healthz', port: 'metrics' });
        expect(pod.startupProbe?.httpGet).toEqual({ path: '/healthz', port: 'metrics' });
        expect(pod.readinessProbe?.httpGet).toEqual({ path: '/readyz', port: 'metrics' });
      }
      const text = JSON.stringify(manifests.filter(({ kind }) => kind === 'NetworkPolicy'));
      expect(text).toContain(`"port":${metrics}`);
      expect(text).toContain(`"port":${ws}`);
    });

    test('allow 5 s more than a graceful stop may take', () => {
      const drainMs = processorSettings.shape.DRAIN_TIMEOUT_MS.parse(undefined);
      const liveDrainMs = gatewaySettings.shape.LIVE_WS_DRAIN_TIMEOUT_MS.parse(undefined);
      const closing = { processor: 5_000, 'live-gateway': 10_000 }; // `closingMs` of each main.ts
      const processor = workloadNamed(manifests, 'processor').spec.template.spec;
      const gateway = workloadNamed(manifests, 'live-gateway').spec.template.spec;
      const noticeMs = gatewaySettings.shape.LIVE_WS_DRAIN_NOTICE_MS.parse(undefined);
      expect(processor.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(
        drainMs + closing.processor + 5_000,
      );
      expect(gateway.terminationGracePeriodSeconds * 1000).toBeGreaterThanOrEqual(
        noticeMs + liveDrainMs + closing['live-gateway'] + 5_000,
      );
    });

    test('select existing pods', () => {
      const pods = only(workload, manifests).map(({ spec }) => spec.template.metadata.labels);
      const selector = z.object({
        kind: z.enum(['Service', 'PodDisruptionBudget', 'NetworkPolicy']),
        metadata: z.object({ name: z.string() }),
        spec: z.object({ selector: z.unknown(), podSelector: z.unknown() }).partial(),
      });
      const selectedLabels = z.union([
        z
          .object({ matchLabels: z.record(z.string(), z.string()) })
          .transform(({ matchLabels }) => matchLabels),
        z.record(z.string(), z.string()),
      ]);
      const matched = only(selector, manifests).flatMap(({ metadata, spec }) => {
        const labelsSelected = selectedLabels.safeParse(spec.podSelector ?? spec.selector);
        // Selectors of several workloads use matchExpressions.
        if (!labelsSelected.success) return [];
        const count = pods.filter((labels) =>
          Object.entries(labelsSelected.data).every(([label, value]) => labels[label] === value),
        ).length;
        return [`${metadata.name}: ${count}`];
      });
      expect(matched.length).toBeGreaterThan(6);
      expect(matched.filter((line) => line.endsWith(': 0'))).toEqual([]);
    });
  });

  test('take the key of session tickets from the secret of the gateway where it has one', () => {
    const [{ env }] = workloadNamed(of('prod'), 'live-gateway').spec.template.spec.containers;
    expect(env.find(({ name }) => name === 'LIVE_TICKET_KEY')?.valueFrom).toEqual({
      secretKeyRef: { name: 'live-gateway', key: 'LIVE_TICKET_KEY', optional: true },
    });
  });

  test('of prod leave replicas to the autoscalers, with one processor', () => {
    const numbers = (overlay: string) =>
      Object.fromEntries(
        only(workload, of(overlay)).map(({ metadata, spec }) => [metadata.name, spec.replicas]),
      );
    expect(numbers('dev')).toEqual({ migrate: undefined, processor: 1, 'live-gateway': 1 });
    expect(numbers('prod')).toEqual({ migrate: undefined, processor: undefined, 'live-gateway': undefined });
    const scaled = of('prod').find(({ kind }) => kind === 'ScaledObject');
    expect(scaled).toMatchObject({ spec: { minReplicaCount: 1, maxReplicaCount: 1 } });
    const hpa = of('prod').find(({ kind }) => kind === 'HorizontalPodAutoscaler');
    expect(hpa).toMatchObject({
      spec: { minReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'live-gateway' } },
    });
  });

  test('of prod contain no secret', () => {
    expect(of('prod').filter(({ kind }) => kind === 'Secret')).toEqual([]);
    expect(JSON.stringify(of('prod'))).not.toMatch(/(?:redis|postgres)s?:\/\/[^"\s]*:[^"\s]*@/u);
  });
});

test.skipIf(kubectl === undefined).for(['prod', 'prod with prune'] as const)(
  'the first step of the runbook applies the job of %s with its account, and creates its namespace',
  (overlay) => {
    const manifests = render(kubectl ?? '', overlay);
    const [, label = '', value = ''] = /^kubectl apply -k \S+ -l (\S+)=(\S+)$/mu.exec(runbook) ?? [];
    const selected = manifests.filter(({ metadata }) => labelsOf(metadata)[label] === value);
    const [job] = only(workload, selected);
    expect(job?.metadata.name).toBe('migrate');
    expect(selected.map(({ kind, metadata: { name } }) => `${kind} ${name}`)).toContain(
      `ServiceAccount ${job?.spec.template.spec.serviceAccountName}`,
    );
    const [, file = ''] = /^kubectl apply -f deploy\/(\S+)$/mu.exec(runbook) ?? [];
    const created = resourceMetadata.parse(parse(readRepositoryFile(`deploy/${file}`)).metadata);
    expect(new Set(selected.map(({ metadata }) => metadata.namespace))).toEqual(new Set([created.name]));
  },
);

test.skipIf(kubectl === undefined).for(services)(
  'the runbook creates the secret of the %s with each key that it requires',
  (name) => {
    const command = new RegExp(`create secret generic ${name}((?:[ \\\\\n]+--from-literal=\\S+)+)`, 'u');
    const [, literals = ''] = command.exec(runbook) ?? [];
    const keys = [...literals.matchAll(/--from-literal=(\w+)=/gu)].map(([, key]) => key);
    const manifests = render(kubectl ?? '', 'prod');
    const [{ env }] = workloadNamed(manifests, name).spec.template.spec.containers;
    const required = env.map((each) => each.name).filter((each) => each.endsWith('_FILE'));
    expect(new Set(keys)).toEqual(new Set(required.map((each) => each.replace(/_FILE$/u, ''))));
  },
);

function labelsOf(metadata: object): Readonly<Record<string, string>> {
  return z.object({ labels: z.record(z.string(), z.string()).default({}) }).parse(metadata).labels;
}

describe('an invalid manifest', () => {
  const base: Manifest = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } };
  const withSpec = (spec: object): Manifest => ({ ...base, spec });

  test('with an invalid value or an unknown kind is refused', () => {
    expect(() => validateBySchema(withSpec({ ports: 'metrics' }))).toThrow(/ports/u);
    expect(() => validateBySchema({ ...base, kind: 'Servcie' })).toThrow('no schema of v1 Servcie');
  });

  test('with an unknown field is refused', async () => {
    expect(await compile(asTypedModule([base]))).toBe('');
    expect(await compile(asTypedModule([withSpec({ prots: [] })]))).toContain(`'"prots"' does not exist`);
  });
});

function bytesOf(memory: string): number {
  const [, count, unit] = /^(\d+)([MG])i$/u.exec(memory) ?? [];
  if (count === undefined) throw new Error(`${memory} is not a size in Mi or Gi`);
  return Number(count) * (unit === 'G' ? 2 ** 30 : 2 ** 20);
}

/** Compiler errors of a module; empty if there are none. */
async function compile(source: string): Promise<string> {
  // Inside this package, so that the models can be resolved.
  const folder = mkdtempSync(join(repositoryPath('tools/repo/node_modules'), '.manifests-'));
  try {
    writeFileSync(join(folder, 'manifests.ts'), source);
    const options = '--ignoreConfig --noEmit --strict --skipLibCheck --module nodenext --pretty false'.split(
      ' ',
    );
    const tsc = repositoryPath('node_modules/.bin/tsc');
    await promisify(execFile)(tsc, [...options, '--types', '', join(folder, 'manifests.ts')]);
    return '';
  } catch (error) {
    if (error instanceof Error && 'stdout' in error) return String(error.stdout);
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
