import { createLog, type Logger } from '@app/runtime/log';
import { readMetric } from '@app/test-kit/read-metric';
import { Registry } from 'prom-client';
import { createMetrics, type Metrics } from '../../src/metrics.ts';

/** A log and metrics that a test can read. */
export interface Observed {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Logged messages with their levels: `warn: dead-letter write failed; retrying`. */
  readonly messages: readonly string[];
  /** The lines of the log, parsed. */
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  /** The sum of a metric's series with these labels; undefined where there is none. */
  readonly metric: (name: string, labels?: Readonly<Record<string, string>>) => Promise<number | undefined>;
}

export function observe(): Observed {
  const registry = new Registry();
  const lines: Record<string, unknown>[] = [];
  const messages: string[] = [];
  const destination = {
    write: (text: string) => {
      const line: Record<string, unknown> = JSON.parse(text);
      lines.push(line);
      messages.push(`${String(line['level'])}: ${String(line['msg'])}`);
    },
  };
  return {
    log: createLog({ service: 'processor', instanceId: 'test', level: 'debug', destination }),
    metrics: createMetrics(registry),
    messages,
    lines,
    metric: async (name, labels) => readMetric(await registry.metrics(), name, labels),
  };
}
