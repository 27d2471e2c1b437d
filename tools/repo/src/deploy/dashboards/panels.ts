import type { Panel, Query } from './dashboard.ts';

type Words = Pick<Panel, 'title' | 'description' | 'unit'>;

/** One number, coloured by its limits. */
export function number(words: Words & Pick<Panel, 'limits'>, expr: string): Panel {
  return { ...words, kind: 'number', queries: [{ expr, legend: '' }] };
}

export function curves(words: Words, ...queries: readonly Query[]): Panel {
  return { ...words, kind: 'curves', queries };
}

/** The increases of a counter a second, a curve for each value of the label. */
export function rateBy(label: string, words: Omit<Words, 'unit'>, counter: string): Panel {
  return curves(
    { ...words, unit: 'cps' },
    { expr: `sum by (${label}) (rate(${counter}[1m]))`, legend: `{{${label}}}` },
  );
}

/** The median, the slowest twentieth and the slowest hundredth of a histogram. */
export function quantiles(words: Omit<Words, 'unit'>, histogram: string, unit: Panel['unit'] = 's'): Panel {
  return curves(
    { ...words, unit },
    ...[0.5, 0.95, 0.99].map((quantile) => ({
      expr: `histogram_quantile(${quantile}, sum by (le) (rate(${histogram}_bucket[1m])))`,
      legend: `${quantile * 100} %`,
    })),
  );
}

/** What any of our processes tells: what runs, and whether it has room. */
export function processPanels(job: string): readonly Panel[] {
  const by = `{job="${job}"}`;
  return [
    curves(
      {
        title: 'What runs',
        description: 'Two versions at once: a roll-out is under way, or stuck.',
        unit: 'short',
      },
      { expr: `count by (version, commit) (build_info${by})`, legend: '{{version}} {{commit}}' },
    ),
    curves(
      {
        title: 'CPU',
        description: 'In cores. A process of Node has use for little more than one.',
        unit: 'short',
      },
      { expr: `rate(process_cpu_seconds_total${by}[1m])`, legend: '{{instance}}' },
    ),
    curves(
      {
        title: 'Memory',
        description: 'Resident, and of it the heap. Steady growth over hours is a leak.',
        unit: 'bytes',
      },
      { expr: `process_resident_memory_bytes${by}`, legend: '{{instance}}' },
      { expr: `nodejs_heap_size_used_bytes${by}`, legend: '{{instance}} heap' },
    ),
    curves(
      {
        title: 'Event loop',
        description: 'How late it turns. Above 0.1 s everything else is late too.',
        unit: 's',
      },
      { expr: `nodejs_eventloop_lag_p99_seconds${by}`, legend: '{{instance}}' },
    ),
    curves(
      { title: 'Garbage collection', description: 'The share of time that goes to it.', unit: 'percentunit' },
      { expr: `sum by (instance) (rate(nodejs_gc_duration_seconds_sum${by}[1m]))`, legend: '{{instance}}' },
    ),
    curves(
      {
        title: 'Open files',
        description: 'Sockets included; near the upper curve nobody else gets in.',
        unit: 'short',
      },
      { expr: `process_open_fds${by}`, legend: '{{instance}}' },
      { expr: `process_max_fds${by}`, legend: '{{instance}} limit' },
    ),
  ];
}
