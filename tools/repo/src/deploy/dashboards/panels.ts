import type { Panel, Query } from './dashboard.ts';

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

export function timeSeries(
  title: string,
  description: string,
  unit: Unit,
  ...queries: readonly Query[]
): Panel {
  return { kind: 'timeSeries', title, description, unit, queries };
}

/** The rate of a counter, one series for each value of the label. */
export function rateBy(label: string, title: string, description: string, counter: string): Panel {
  const query = { expr: `sum by (${label}) (rate(${counter}[1m]))`, legend: `{{${label}}}` };
  return timeSeries(title, description, 'cps', query);
}

/** The quantiles 0.5, 0.95 and 0.99 of a histogram. */
export function quantiles(title: string, description: string, histogram: string, unit: Unit = 's'): Panel {
  const queries = [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le) (rate(${histogram}_bucket[1m])))`,
    legend: `${quantile * 100} %`,
  }));
  return timeSeries(title, description, unit, ...queries);
}

/** Versions and resources of a job's processes. */
export function processPanels(job: string): readonly Panel[] {
  const selector = `{job="${job}"}`;
  return [
    timeSeries('Versions', 'Two versions at once: a roll-out is in progress or stuck.', 'short', {
      expr: `count by (version, commit) (build_info${selector})`,
      legend: '{{version}} {{commit}}',
    }),
    timeSeries(
      'CPU',
      'In cores. A Node process uses little more than one.',
      'short',
      byInstance(`rate(process_cpu_seconds_total${selector}[1m])`),
    ),
    timeSeries(
      'Memory',
      'Resident memory, and the used heap. Steady growth over hours is a leak.',
      'bytes',
      byInstance(`process_resident_memory_bytes${selector}`),
      byInstance(`nodejs_heap_size_used_bytes${selector}`, ' heap'),
    ),
    timeSeries(
      'Event loop',
      'Event loop lag (p99). Above 0.1 s all latencies suffer.',
      's',
      byInstance(`nodejs_eventloop_lag_p99_seconds${selector}`),
    ),
    timeSeries(
      'Garbage collection',
      'Share of time spent in garbage collection.',
      'percentunit',
      byInstance(`sum by (instance) (rate(nodejs_gc_duration_seconds_sum${selector}[1m]))`),
    ),
    timeSeries(
      'Open files',
      'Including sockets. At the limit no connection is accepted.',
      'short',
      byInstance(`process_open_fds${selector}`),
      byInstance(`process_max_fds${selector}`, ' limit'),
    ),
  ];
}

function byInstance(expr: string, suffix = ''): Query {
  return { expr, legend: `{{instance}}${suffix}` };
}
