import { createMetrics as createGatewayMetrics } from '@app/live-gateway/metrics';
import { registerStateGauges } from '@app/live-gateway/state-gauges';
import { createMetrics as createProcessorMetrics } from '@app/processor/metrics';
import { registerBuildInfo } from '@app/runtime/build-info';
import { Registry } from 'prom-client';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';

export interface ExportedMetric {
  /** Metric name; the series of a histogram end with `_bucket`, `_sum` or `_count`. */
  readonly name: string;
  readonly labels: ReadonlySet<string>;
}

/** The metric of each series that the services can export, by series name. */
export async function exportedMetrics(): Promise<ReadonlyMap<string, ExportedMetric>> {
  const series = new Map<string, ExportedMetric>();
  const gatewayRegistry = new Registry();
  createGatewayMetrics(gatewayRegistry);
  registerStateGauges(gatewayRegistry, {
    clients: { size: 0 },
    registry: { subscriptionCount: 0, assignedAtMs: 0 },
    watchedResults: { subscriptionCount: 0 },
    reauthorizer: { unconfirmed: 0 },
    readiness: { isDraining: false },
    cursors: [],
    clocks: { nowMs: () => 0, ageMs: () => 0 },
  });
  const processorRegistry = new Registry();
  createProcessorMetrics(processorRegistry);
  registerBuildInfo(processorRegistry, 'any', 'any-1');
  for (const registry of [gatewayRegistry, processorRegistry]) {
    for (const metric of await registry.getMetricsAsJSON()) {
      for (const name of seriesOf(metric)) {
        series.set(name, { name: metric.name, labels: labelsOf(registry, metric.name, name) });
      }
    }
  }
  return series;
}

function seriesOf({ name, type }: MetricObjectWithValues<MetricValue<string>>): readonly string[] {
  // At run time the type is a string; in prom-client's types it is an enum of numbers.
  return String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name];
}

function labelsOf(registry: Registry, metric: string, series: string): ReadonlySet<string> {
  const found: unknown = registry.getSingleMetric(metric);
  const names: unknown =
    typeof found === 'object' && found !== null && 'labelNames' in found ? found.labelNames : undefined;
  if (!Array.isArray(names)) throw new Error(`prom-client has no labelNames of ${metric}`);
  return new Set([...names.map(String), ...(series.endsWith('_bucket') ? ['le'] : [])]);
}
