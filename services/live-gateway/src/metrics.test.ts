import { documentedMetrics } from '@app/test-kit/documented-metrics';
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';

const zero = (): number => 0;

test('the documented metrics are those that the gateway registers, with their types, and no others', async () => {
  const registry = new Registry();
  createMetrics(registry, {
    connections: zero,
    subscriptions: zero,
    unconfirmedSubscriptions: zero,
    drainRemaining: zero,
    assignmentAgeSeconds: zero,
    secondsSinceLastRecord: () => new Map(),
  });
  const registered = (await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]);
  const documented = await documentedMetrics('Live gateway', 'live_');
  expect(documented.length).toBeGreaterThan(20);
  expect(new Map(documented.map(({ name, type }) => [name, type]))).toEqual(
    new Map(registered.map(([name = '', type = '']) => [name, type])),
  );
});
