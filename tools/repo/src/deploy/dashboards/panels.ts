import type { Panel } from './dashboard.ts';

type Unit = Panel['unit'];

/** One value, coloured by its limits. */
export function stat(
  title: string,
  description: string,
  unit: Unit,
  expr: string,
  limits?: Panel['limits'],
): Panel {
  const queries = [{ expr, legend: '' }];
  return { kind: 'stat', title, description, unit, queries, ...(limits !== undefined && { limits }) };
}

/** @param series PromQL expressions by legend; a legend with `{{label}}` stands for several series. */
export function timeSeries(
  title: string,
  description: string,
  unit: Unit,
  series: Readonly<Record<string, string>>,
): Panel {
  const queries = Object.entries(series).map(([legend, expr]) => ({ expr, legend }));
  return { kind: 'timeSeries', title, description, unit, queries };
}

/** The rate of a counter, one series for each value of the label. */
export function rateBy(label: string, title: string, description: string, counter: string): Panel {
  return timeSeries(title, description, 'cps', {
    [`{{${label}}}`]: `sum by (${label}) (rate(${counter}[1m]))`,
  });
}

/** The quantiles 0.5, 0.95 and 0.99 of a histogram. */
export function quantiles(title: string, description: string, histogram: string, unit: Unit = 's'): Panel {
  const quantile = (value: number): string =>
    `histogram_quantile(${value}, sum by (le) (rate(${histogram}_bucket[1m])))`;
  return timeSeries(title, description, unit, {
    '50 %': quantile(0.5),
    '95 %': quantile(0.95),
    '99 %': quantile(0.99),
  });
}

/** Versions and resources of a job's processes. */
export function processPanels(job: string): readonly Panel[] {
  const selector = `{job="${job}"}`;
  return [
    timeSeries('Versions', 'Two versions at once: a roll-out is in progress or stuck.', 'short', {
      '{{version}} {{commit}}': `count by (version, commit) (build_info${selector})`,
    }),
    timeSeries('CPU', 'In cores. A Node process uses little more than one.', 'short', {
      '{{instance}}': `rate(process_cpu_seconds_total${selector}[1m])`,
    }),
    timeSeries('Memory', 'Resident memory, and the used heap. Steady growth over hours is a leak.', 'bytes', {
      '{{instance}}': `process_resident_memory_bytes${selector}`,
      '{{instance}} heap': `nodejs_heap_size_used_bytes${selector}`,
    }),
    timeSeries('Event loop', 'Event loop lag (p99). Above 0.1 s all latencies suffer.', 's', {
      '{{instance}}': `nodejs_eventloop_lag_p99_seconds${selector}`,
    }),
    timeSeries('Garbage collection', 'Share of time spent in garbage collection.', 'percentunit', {
      '{{instance}}': `sum by (instance) (rate(nodejs_gc_duration_seconds_sum${selector}[1m]))`,
    }),
    timeSeries('Open files', 'Including sockets. At the limit no connection is accepted.', 'short', {
      '{{instance}}': `process_open_fds${selector}`,
      '{{instance}} limit': `process_max_fds${selector}`,
    }),
  ];
}
