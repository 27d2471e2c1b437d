import { existsSync } from 'node:fs';
import { pruneSettings } from '@app/migrate/prune-settings';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { repositoryPath } from '../../src/deploy/repository.ts';
import { findProgram } from './support/find-program.ts';
import { type Manifest, renderWithPrune } from './support/render-manifests.ts';
import { environment, only, resourceMetadata, workloadNamed } from './support/workloads.ts';

const kubectl = findProgram('kubectl');

const egressPolicy = z.object({
  kind: z.literal('NetworkPolicy'),
  metadata: resourceMetadata,
  spec: z.object({
    policyTypes: z.array(z.string()).refine((types) => types.includes('Egress')),
    podSelector: z.object({
      matchLabels: z.record(z.string(), z.string()).default({}),
      matchExpressions: z
        .array(z.object({ key: z.string(), operator: z.literal('In'), values: z.array(z.string()) }))
        .default([]),
    }),
  }),
});

const cronJob = z.object({
  kind: z.literal('CronJob'),
  spec: z.object({
    concurrencyPolicy: z.string(),
    jobTemplate: z.object({ spec: z.object({ activeDeadlineSeconds: z.number() }) }),
  }),
});

function render(...settings: readonly string[]): readonly Manifest[] {
  return kubectl === undefined ? [] : renderWithPrune(kubectl, settings);
}

describe.skipIf(kubectl === undefined)('the component prune', () => {
  const manifests = render('PRUNE_KEEP_DAYS=180');

  test('runs a program that exists, one at a time, for longer than PRUNE_MAX_MINUTES', () => {
    const { spec } = workloadNamed(manifests, 'prune');
    const [node, program = ''] = spec.template.spec.containers[0].command;
    expect(node).toBe('node');
    expect(existsSync(repositoryPath(program))).toBe(true);
    const [job] = only(cronJob, manifests);
    expect(job?.spec.concurrencyPolicy).toBe('Forbid');
    const maxMinutes = pruneSettings.shape.PRUNE_MAX_MINUTES.parse(undefined);
    expect(job?.spec.jobTemplate.spec.activeDeadlineSeconds).toBeGreaterThan(60 * maxMinutes);
  });

  test('has no number of days of its own', () => {
    const without = render();
    const given = environment(without, workloadNamed(without, 'prune'));
    expect(Object.keys(given)).toEqual(['POSTGRES_URL_FILE']);
    expect(pruneSettings.shape.PRUNE_KEEP_DAYS.safeParse(undefined).success).toBe(false);
  });

  test('lets the job reach Postgres only, and the migration job create its login', () => {
    expect(egressPolicies('prune')).toEqual(['allow-dns', 'allow-postgres', 'deny-all']);
    expect(egressPolicies('processor')).toContain('allow-redis');
    const given = environment(manifests, workloadNamed(manifests, 'migrate'));
    expect(given['PRUNER_PASSWORD_FILE']).toBe('/run/secrets/migrate/PRUNER_PASSWORD');
  });

  function egressPolicies(name: string): readonly string[] {
    const { labels } = workloadNamed(manifests, name).spec.template.metadata;
    return only(egressPolicy, manifests)
      .filter(({ spec: { podSelector } }) => {
        const { matchLabels, matchExpressions } = podSelector;
        return (
          Object.entries(matchLabels).every(([label, value]) => labels[label] === value) &&
          matchExpressions.every(({ key, values }) => values.includes(labels[key] ?? ''))
        );
      })
      .map((policy) => policy.metadata.name)
      .toSorted();
  }
});
