import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createMetrics } from './metrics.ts';
import { documentedMetrics } from './testing/documented-metrics.ts';

test('the documented metrics are those that the service registers, with their types, and no others', async () => {
  const registry = new Registry();
  createMetrics(registry);
  const registered = (await registry.getMetricsAsJSON()).map(({ name, type }) => [name, String(type)]);
  const documented = await documentedMetrics();
  expect(documented.length).toBeGreaterThan(20);
  expect(new Map(documented.map(({ name, type }) => [name, type]))).toEqual(
    new Map(registered.map(([name = '', type = '']) => [name, type])),
  );
});
